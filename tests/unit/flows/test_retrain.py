"""The flow as a worker takes it: sent to another process, and refused there as it would be here."""

from __future__ import annotations

import subprocess
import sys
import textwrap

from tests.conftest import REPOSITORY

PROGRAM = textwrap.dedent(
    """
    from flows.retrain import retrain
    from prefect.flow_engine import run_flow
    from prefect.utilities.callables import cloudpickle_wrapped_call
    import cloudpickle, flows.retrain
    cloudpickle.register_pickle_by_value(flows.retrain)  # what a served deployment does
    call = cloudpickle_wrapped_call(run_flow, flow=retrain, parameters={"stages": ["compare"]})
    print("travels", len(call.args[0]) if hasattr(call, "args") else "")
    """
)


def test_the_flow_can_be_sent_to_a_workers_process():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, cwd=REPOSITORY, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "travels" in done.stdout


def test_the_form_in_the_dashboard_names_the_stages():
    program = "from flows.retrain import retrain; print(retrain.parameters.properties['stages'])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=REPOSITORY, check=True)
    assert "features@topology" in done.stdout
