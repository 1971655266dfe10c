"""What an enhancement will do, decided and checked before any of it is done."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compress_mpi.errors import PDFSetError, RuncardError, StoreError
from compress_mpi.io.backends import require_scale
from compress_mpi.io.datadir import tree_of
from compress_mpi.io.enhancedfile import EnhancedRecord, is_enhanced_file, read_enhanced
from compress_mpi.io.enhancedtree import (
    EnhancedTree,
    enhanced_name,
    missing_replicas,
    require_replaceable_tree,
)
from compress_mpi.io.knots import force_positive_warning
from compress_mpi.io.pdfset import PDFSet, open_set
from compress_mpi.io.runcard import RuncardSource, differences
from compress_mpi.io.setfolder import require_replaceable
from compress_mpi.methods.enhancement.source import mixing_warning
from compress_mpi.types import IntArray
from compress_mpi.workflows.outputs import plan_outputs
from compress_mpi.workflows.prior import PriorPlan

__all__ = [
    "EnhancePlan",
    "known_weights",
    "plan_enhancement",
    "refuse_other_set",
    "require_prior_first",
    "written_record",
]

_TRAINED = ("flow", "gan")
_ADVICE = "change it back, choose another 'output', or start over with --restart"
_TIMES = 3
"""Size of an enhanced set over that of the prior, where nothing else is said."""


@dataclass(frozen=True)
class EnhancePlan:
    """An enhancement to be.

    Attributes
    ----------
    name : str
        Of the enhanced set.
    kind : str
        Generator.
    total : int
        Replicas of the enhanced set, those of the prior among them; 0 for one that is there already.
    settings : dict
        All that decides the new replicas, JSON-able.
    folder : Path
        The published tree goes to ``folder / name``.
    datadir : Path
        Data folder of LHAPDF in which the set is.
    existing : PDFSet or None
        The set that is there already, where it is not to be made.
    origins : int64 (R,) or None
        Which set each replica of a combined prior comes from.
    saved : Path or None
        ``output.h5`` of an earlier training whose model is used.
    warnings : tuple of str
    """

    name: str
    kind: str
    total: int
    settings: dict[str, Any]
    folder: Path
    datadir: Path
    existing: PDFSet | None
    origins: IntArray | None
    saved: Path | None
    warnings: tuple[str, ...]

    @property
    def tree(self) -> EnhancedTree:
        """Where the files of the enhanced set are."""
        there = None if self.existing is None else tree_of(self.existing)
        return there or EnhancedTree(self.folder.absolute() / self.name, self.name)

    @property
    def trained(self) -> bool:
        """Whether a network has to be trained."""
        return self.kind in _TRAINED

    @property
    def stage_folder(self) -> Path:
        """Folder of the training."""
        return self.folder.absolute() / f"{self.name}.stage"


def plan_enhancement(source: RuncardSource, plan: PriorPlan, folders: Sequence[Path]) -> EnhancePlan:
    """Refuse what can be refused of an enhancement; serial.

    Parameters
    ----------
    source : RuncardSource
        With ``gans.enhance`` or ``existing_enhanced``.
    plan : PriorPlan
    folders : sequence of Path
        Where to look for sets first.

    Raises
    ------
    RuncardError, PDFSetError, OutputError
    """
    config = source.config
    folder = plan_outputs(config.output, plan.pdfset.name, (2,))[0].folder
    name, datadir = enhanced_name(plan.pdfset.name), folder.absolute() / "lhapdf"
    if not config.gans.enhance:
        found = open_set(name, [datadir, *folders])
        if found.n_rep < plan.pdfset.n_rep:
            raise PDFSetError(
                f"{found.path}: {found.n_rep} replicas, expected those of {plan.pdfset.name}, {plan.pdfset.n_rep}, and"
                " more; make the enhanced set again"
            )
        for q in plan.scales:
            require_scale(found, q)
        tree = tree_of(found)
        if config.polish.radius is not None and (tree is None or not is_enhanced_file(tree.sidecar)):
            raise RuncardError(
                f"{source.path}: polish.radius: needs to know how the replicas of {name} were made of those of the"
                f" prior, but {found.path} leads to no file that says it; leave polish out, or use gans.enhance"
            )
        return EnhancePlan(name, "existing", 0, {}, folder, datadir, found, None, None, ())
    n_rep, kind = plan.pdfset.n_rep, config.generator_kind
    total = config.gans.total_replicas or _TIMES * n_rep
    if total < n_rep + 2:
        raise RuncardError(
            f"{source.path}: gans.total_replicas: expected {n_rep + 2} or more, as the {n_rep} replicas of"
            f" {plan.pdfset.name} are among them, got {total}"
        )
    if config.evolution == "eko" and importlib.util.find_spec("eko") is None:
        raise RuncardError(
            f"{source.path}: evolution: eko is not installed here; pip install 'compress-mpi[evolution]', or use linear"
        )
    settings, saved, warnings = _generator(source)
    origins = _origins(plan)
    said = (*warnings, mixing_warning(kind, origins), force_positive_warning(plan.pdfset))
    more = EnhancePlan(
        name,
        kind,
        total,
        {
            "generator": kind,
            "total_replicas": total,
            "seed": config.seed,
            "evolution": config.evolution,
            **settings,
        },
        folder,
        datadir,
        None,
        origins,
        saved,
        tuple(text for text in said if text is not None),
    )
    require_replaceable_tree(more.tree.folder)
    require_replaceable(datadir / name)
    return more


def _generator(source: RuncardSource) -> tuple[dict[str, Any], Path | None, tuple[str, ...]]:
    """Settings of the generator, a saved model, and what to say."""
    config = source.config
    chosen, kind = config.generator, config.generator_kind
    settings: dict[str, Any] = {"variance": chosen.variance}
    if kind == "mix":
        return settings | {"spread": chosen.spread}, None, ()
    if kind == "kde":
        return settings | {"bandwidth": chosen.bandwidth}, None, ()
    from compress_mpi.workflows.stage import require_trainer

    if config.launch.where in ("local", "process"):
        require_trainer(kind)
    given = {"epochs": chosen.epochs, "components": chosen.components, "device": chosen.device}
    own = {name: value for name, value in given.items() if value is not None}
    if kind == "flow":
        return settings | {"network": own}, None, ()
    own.pop("components", None)
    return _gan(source, settings, own)


def _gan(
    source: RuncardSource, settings: dict[str, Any], own: dict[str, Any]
) -> tuple[dict[str, Any], Path | None, tuple[str, ...]]:
    """Settings of the networks from a ganpdfs runcard, where there is one."""
    if source.config.gans.runcard is None:
        return settings | {"network": own}, None, ()
    from compress_mpi.io.ganpdfs import load_gan_card

    card = load_gan_card(_card_path(source))
    warnings = card.warnings
    if card.card.pdf not in (None, source.config.prior_name):
        warnings += (
            f"{card.path}: pdf: {card.card.pdf}, but the prior is {source.config.prior_name}; that counts",
        )
    return settings | {"network": {**card.settings, **own}}, card.saved_model, warnings


def _card_path(source: RuncardSource) -> Path:
    """The ganpdfs runcard: beside the runcard or in the current folder, with or without its suffix."""
    name = Path(str(source.config.gans.runcard)).expanduser()
    folders = [source.path.parent, Path()]
    tried = [folder / name.with_name(name.name + end) for folder in folders for end in ("", ".yml", ".yaml")]
    return next((path for path in tried if path.is_file()), tried[1])


def _origins(plan: PriorPlan) -> IntArray | None:
    if plan.combination is None:
        return None
    counts = [parent.count for parent in plan.combination.parents]
    return np.repeat(np.arange(len(counts)), counts)


def written_record(plan: EnhancePlan, prior_sha256: str, restart: bool) -> EnhancedRecord | None:
    """The sidecar of the same enhancement, if its set is there and whole; serial.

    Parameters
    ----------
    plan : EnhancePlan
    prior_sha256 : str
        Of the prior now.
    restart : bool
        Whether a set of another prior may be replaced.

    Raises
    ------
    StoreError
        If it may not.
    """
    tree = plan.tree
    if not is_enhanced_file(tree.sidecar) or missing_replicas(tree, plan.total):
        return None
    record = read_enhanced(tree.sidecar)
    if record.prior_sha256 != prior_sha256 and not restart:
        raise StoreError(f"{tree.folder}: made from other values of {record.prior}; {_ADVICE}")
    same = record.prior_sha256 == prior_sha256 and not _differences(record, plan)
    return record if same else None


def known_weights(plan: EnhancePlan, prior_sha256: str) -> bool:
    """Whether a set that is there already says how it was made, and of this prior; serial."""
    sidecar = plan.tree.sidecar
    if plan.existing is None or not is_enhanced_file(sidecar):
        return False
    record = read_enhanced(sidecar)
    return record.prior_sha256 == prior_sha256 and record.total == plan.existing.n_rep


def refuse_other_set(plan: EnhancePlan) -> None:
    """Refuse to put an enhanced set in the place of one that was made with other settings; serial.

    Raises
    ------
    StoreError
    """
    if plan.existing is not None or not is_enhanced_file(plan.tree.sidecar):
        return
    reasons = _differences(read_enhanced(plan.tree.sidecar), plan)
    if reasons:
        raise StoreError(
            f"{plan.tree.folder}: an enhanced set made with other settings:\n  "
            + "\n  ".join(reasons)
            + f"\n{_ADVICE}"
        )


def _differences(record: EnhancedRecord, plan: EnhancePlan) -> list[str]:
    return differences(record.settings, json.loads(json.dumps(plan.settings)))


def require_prior_first(name: str, shift: float) -> str | None:
    """What to say where the first replicas of a foreign enhanced set are not those of the prior."""
    if shift == 0.0:
        return None
    if not np.isfinite(shift):
        raise PDFSetError(f"{name}: holds values that are not finite; make it again")
    return (
        f"{name}: its first replicas are not those of the prior, but up to {shift:.3g} standard deviations off; the"
        " adiabatic phase starts from those of the same numbers"
    )
