"""The forms that `sentilora export` writes, by name: one entry a form.

A form's own module is imported when the form is asked for, so one that needs a package which isn't
installed stands in no other's way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentilora.errors import UserError
from sentilora.export.description import EXPORT
from sentilora.files import read_json

if TYPE_CHECKING:
    from sentilora.classifier import Classifier


@dataclass(frozen=True)
class Form:
    """One engine's format.

    weights
        The precisions it can store weights in, each with the share of rows that must keep their
        label by default; the first is the default.
    check
        Raises UserError where a package is missing, before anything is computed.
    check_base
        (its config.json, its tokenizer): raises UserError for a base that can't be written so,
        before it is loaded.
    write
        (classifier in float32, folder, precision, the run's name): writes everything, description
        included; the classifier is used up.
    load
        (folder, threads): the export, verified, ready to be asked; the engine's own choice of
        threads where they are None.
    """

    weights: Mapping[str, float]
    check: Callable[[], None]
    check_base: Callable[[Mapping[str, Any], Any], None]
    write: Callable[[Classifier, Path, str, str], None]
    load: Callable[[Path, int | None], Classifier]

    def precision(self, asked: str | None) -> str:
        """The precision asked for, or the default. Raises UserError for one it hasn't."""
        if asked is not None and asked not in self.weights:
            raise UserError(
                f"There are no {asked!r} weights in this form; choose {', '.join(self.weights)}."
            )
        return asked or next(iter(self.weights))


def _onnx() -> Form:
    from sentilora.export.onnx.form import WEIGHTS, check, load_onnx, write_onnx

    def any_base(config: Mapping[str, Any], tokenizer: Any) -> None:
        """Refuses none: what torch.export can follow is known only when it has."""

    return Form(WEIGHTS, check, any_base, write_onnx, load_onnx)


def _gguf() -> Form:
    from sentilora.export.gguf import WEIGHTS, check, check_base, load_gguf, write_gguf

    return Form(WEIGHTS, check, check_base, write_gguf, load_gguf)


FORMS: dict[str, Callable[[], Form]] = {"onnx": _onnx, "gguf": _gguf}


def form_named(name: str) -> Form:
    """Raises UserError for a form that isn't known."""
    if name not in FORMS:
        raise UserError(f"There is no form {name!r}; choose {', '.join(FORMS)}.")
    return FORMS[name]()


def load_export(
    path: Path,
    *,
    device: str = "auto",
    dtype: str | None = None,
    quantize: str | None = None,
    trust_remote_code: bool = False,
) -> Classifier:
    """The classifier in an exported folder, merged or in another engine's form, verified.

    Raises UserError where it is damaged, and for a device, a dtype or a quantisation that another
    engine would have to be given: it runs as it was exported.
    """
    from sentilora.export.merged import load_merged

    form = str(read_json(path / EXPORT, "The description of an exported model").get("form"))
    name = form.partition(" ")[0]
    if name not in FORMS:
        return load_merged(
            path,
            device=device,
            dtype=dtype,
            quantize=quantize,
            trust_remote_code=trust_remote_code,
        )
    asked = {"--dtype": dtype, "--quantize": quantize}
    given = [option for option, value in asked.items() if value is not None]
    if device not in ("auto", "cpu"):
        given = ["--device", *given]
    if given:
        raise UserError(
            f"{path} holds an export ({form}), which runs on the CPU as it was exported. Leave out "
            f"{' and '.join(given)}."
        )
    return FORMS[name]().load(path, None)
