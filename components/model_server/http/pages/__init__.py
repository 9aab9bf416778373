"""What the server tells of its models: openapi.json for programs, and a page with commands for people."""
