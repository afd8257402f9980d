"""Tell Prefect about runs whose process died: a kill leaves them `Running` for ever, in the way of the next night."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from prefect import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.sorting import TaskRunSort
from prefect.exceptions import ObjectNotFound
from prefect.states import Crashed

if TYPE_CHECKING:
    from tasks.holding import Holder

__all__ = ["mark_crashed"]

UNFINISHED = [StateType.RUNNING, StateType.PENDING]
MOST = 200  # the server refuses a request without a limit or an order, and one for more


def mark_crashed(dead: Holder) -> bool:
    """Set the run that died holding the workspace, and its unfinished tasks, to Crashed.

    Returns:
        Whether the server knew the run as unfinished.
    """
    if dead.flow_run is None:
        return False
    state = Crashed(message=f"its process {dead.pid} on {dead.host} died; found by the next run")
    with get_client(sync_client=True) as client:
        try:
            run = client.read_flow_run(UUID(dead.flow_run))
        except ObjectNotFound:
            return False  # another server, or its database was reset
        unfinished = TaskRunFilter(state=TaskRunFilterState(type=TaskRunFilterStateType(any_=UNFINISHED)))
        of_run = FlowRunFilter(id=FlowRunFilterId(any_=[run.id]))
        query = {"flow_run_filter": of_run, "task_run_filter": unfinished, "limit": MOST, "sort": TaskRunSort.ID_DESC}
        for task_run in client.read_task_runs(**query):
            client.set_task_run_state(task_run.id, state, force=True)
        if run.state is not None and run.state.is_final():
            return False
        client.set_flow_run_state(run.id, state, force=True)
    return True
