"""The HTTP edge: API Gateway events in, payload 2.0 responses out."""
