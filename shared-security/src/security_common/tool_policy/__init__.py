"""What a tool may see and say: the policy as a pure function, the walk over data, the `secure_tool` decorator."""
