"""JSON schema of a configuration file, for completion and checks in editors."""

from typing import Any

from unetpp.config.run import RunConfig

__all__ = ["json_schema"]


def json_schema() -> dict[str, Any]:
    """Draft 2020-12 schema with every field's docstring as its description."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **RunConfig.model_json_schema()}
