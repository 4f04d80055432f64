"""What is wrong with variables and blueprints, before and after they ship.

from everwake.doctor.examination import examine
examine({"REDIS_URL": "redis://host.upstash.io"}, {"environment": "production"})
"""
