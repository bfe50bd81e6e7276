"""What every section of the config is."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A section of the config: fixed keys, fixed values.

    Its checks are built when the first one is made (defer_build): a stage makes one of all that it loads.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, protected_namespaces=(), defer_build=True
    )
