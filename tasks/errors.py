"""What can go wrong around a stage rather than in it."""

from __future__ import annotations

from betti.errors import BadInput, BettiError

__all__ = [
    "BrokenPipelineError",
    "DependencyMovedError",
    "NotAWorkspaceError",
    "StageFailedError",
    "WorkspaceLockedError",
]


class NotAWorkspaceError(BadInput):
    """A folder that is no Betti repository."""

    def __init__(self, folder: object, missing: str) -> None:
        super().__init__(f"{folder} is no Betti workspace: {missing} is missing. Run this in the repository's root")


class WorkspaceLockedError(BettiError):
    """Another run holds the workspace, and waiting did not help."""

    def __init__(self, holder: str, waited: float) -> None:
        super().__init__(
            f"the workspace is held by {holder}; waited {waited:.0f} s. Let it finish or stop it, "
            "or raise flow.lock_wait_seconds in params.yaml"
        )


class BrokenPipelineError(BadInput):
    """dvc.yaml or dvc.lock, which DVC cannot read."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(
            f"DVC cannot read the pipeline: {cause}. Mend dvc.yaml, or restore it and dvc.lock with `git checkout`; "
            "a lost dvc.lock costs nothing but a restore from cache"
        )


class DependencyMovedError(BettiError):
    """A dependency changed while its stage ran: what the stage wrote cannot be recorded as made from it."""

    def __init__(self, stage: str, moved: list[str]) -> None:
        super().__init__(f"stage {stage}: {', '.join(moved)} changed while it ran; nothing was recorded. Run it again")


class StageFailedError(BettiError):
    """A stage that ran in its own process ended badly."""

    def __init__(self, stage: str, code: int, tail: str) -> None:
        self.code = code
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        super().__init__(f"stage {stage} {how}: {tail or 'it said nothing'}")
