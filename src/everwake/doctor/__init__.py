"""What is wrong with variables and blueprints, before and after they ship."""
