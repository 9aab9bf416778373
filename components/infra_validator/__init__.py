"""InfraValidator: tries a model in the server that is to serve it, before it is pushed."""

from penstock.components.infra_validator.component import infra_validator

__all__ = ["infra_validator"]
