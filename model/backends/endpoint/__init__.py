"""A server that speaks the OpenAI protocol as a backend."""

from model.backends.endpoint.backend import EndpointBackend

__all__ = ["EndpointBackend"]
