"""All variables in `application.one` and `compose.one`, only to hide their values."""

from pydantic import BaseModel, ConfigDict, TypeAdapter
from pydantic.alias_generators import to_camel

from bridge.core.masking import Mask, mask_of
from bridge.core.variables import resolve, variables_in


class _Answer(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, hide_input_in_errors=True)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class Shared(_Answer):
    """The environment of an app's variables, or its project: what its own may refer to."""

    env: str | None = None
    project: "Shared | None" = None


class Variables(_Answer):
    """An app's own variables, those of its previews, and what the registry asks for."""

    env: str | None = None
    build_args: str | None = None
    build_secrets: str | None = None
    preview_env: str | None = None
    preview_build_args: str | None = None
    preview_build_secrets: str | None = None
    password: str | None = None
    environment: Shared | None = None

    def mask(self) -> Mask:
        """Return what hides their values."""
        shared = self.environment or Shared()
        project = shared.project or Shared()
        own = (self.env, self.build_args, self.build_secrets)
        of_previews = (self.preview_env, self.preview_build_args, self.preview_build_secrets)
        resolved = (
            one
            for text in (*own, *of_previews)
            for one in resolve(
                variables_in(text),
                project=variables_in(project.env),
                environment=variables_in(shared.env),
            ).items()
        )
        texts = (*own, *of_previews, shared.env, project.env)
        return mask_of(texts, (self.password,), resolved)


VARIABLES = TypeAdapter(Variables)
