"""The AI chat services that Everwake keeps: chatbot, backend and Redis service, deployables of their own."""
