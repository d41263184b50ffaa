"""The same kernels give the same bits on a stream, over a file and in LiberTEM."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from parscope.core import registry
from parscope.core.errors import InputError, OptionError, ShapeError
from parscope.core.frames import Frames
from parscope.core.stream import Fate, Series
from parscope.io import open_frames
from parscope.live.kernels import Detector, Kernel
from parscope.live.kernels.moments import Region
from parscope.live.kernels.over import detector_of, examples_from, over, plan_for
from parscope.live.kernels.plan import GROUP, Plan, examples_of, kernel_of
from parscope.live.wire.encode import end_message, image_message, start_message
from parscope.testing import check_kernel
from parscope.testing.kernel import example_detector, example_patterns
from tests.live.pipeline.conftest import Bench

# Of 64 patterns, which are the first of the stream, and all of the file.
SAME_EXAMPLES = ("sum", "com", "dpc", "bf:47,47,6", "adf:47,47,8,40", "variance", "strain", "pattern-strain")
EVERY = ("sum", "com", "dpc", "bf", "adf", "halo=ring:45,47,10,20", "variance", "strain", "pattern-strain")


@pytest.fixture(scope="module")
def scan() -> Frames:
    frames = Frames.from_array(example_patterns().reshape(8, 8, 96, 96))
    return Frames(frames.data, frames.axes, mask=example_detector().mask)


@pytest.fixture(scope="module")
def plan(scan: Frames) -> Plan:
    return plan_for(scan, EVERY)


@pytest.mark.parametrize("text", EVERY)
def test_every_kernel_keeps_the_contract(text: str) -> None:
    check_kernel(kernel_of(text))


@pytest.fixture(scope="module")
def file(plan: Plan, scan: Frames) -> dict[str, np.ndarray]:
    return over(scan, plan)


@pytest.mark.parametrize("between", [0, 1])
def test_a_stream_has_the_bits_of_a_file_as_far_as_single_precision_has_them(scan: Frames, between: int) -> None:
    """Many at once, and one at a time: with a moment between any two."""
    series = Series(1, "", 64, (96, 96), "uint8", ("a",), mask=scan.mask)
    images = [image_message(series, k, {"a": frame}) for k, frame in enumerate(example_patterns())]
    messages = [start_message(series), *images, end_message(series)]
    apart = [part for message in messages for part in (message, *[None] * between)]
    bench = Bench(apart, analyse=SAME_EXAMPLES, scan=(8, 8), room=1 << 21)
    try:
        bench.run()
        fate, live = bench.board.bank.fate.copy(), bench.board.bank.values.copy()
    finally:
        bench.close()
    assert np.isin(fate, (Fate.ANSWERED, Fate.FILLED)).all()
    for values, (name, one) in zip(live.T, over(scan, SAME_EXAMPLES).items(), strict=True):
        assert values.tobytes() == one.ravel().astype(np.float32).tobytes(), name
        assert np.isfinite(values).any()


def _inline() -> Any:
    from libertem.executor.inline import InlineJobExecutor

    return InlineJobExecutor(inline_threads=1)


def _dask() -> Any:
    from libertem.executor.dask import DaskJobExecutor, cluster_spec

    spec = cluster_spec(cpus=[0], cudas=[], has_cupy=False)
    return DaskJobExecutor.make_local(spec=spec)


@pytest.mark.parametrize("executor", [_inline, _dask])
def test_libertem_has_the_bits_of_a_file(
    plan: Plan, scan: Frames, file: dict[str, np.ndarray], executor: Callable[[], Any]
) -> None:
    api = pytest.importorskip("libertem.api")
    from parscope.live.kernels.libertem import PlanUDF, maps

    with api.Context(executor=executor()) as context:
        dataset = context.load("memory", data=np.array(scan.data), sig_dims=2, num_partitions=3)
        cluster = maps(context.run_udf(dataset=dataset, udf=PlanUDF(plan=pickle.loads(pickle.dumps(plan)))), plan)
    assert list(file) == list(cluster) == [output.name for output in plan.outputs]
    for output in plan.outputs:
        assert file[output.name].tobytes() == cluster[output.name].tobytes()


def test_each_kernel_alone_gives_the_bits_of_the_plan(plan: Plan) -> None:
    examples = example_patterns()
    together = _run(plan, examples[5])
    alone = np.concatenate([_run(Plan([text], plan.detector, examples), examples[5]) for text in EVERY])
    assert together.tobytes() == alone.tobytes()


def test_many_at_once_give_the_bits_of_one_by_one(plan: Plan) -> None:
    examples = example_patterns().copy()
    examples[3] = 0
    examples[4, ::7, ::5] = plan.detector.nodata
    one, many = plan.copy(), plan.copy()
    together = np.full((len(examples), len(plan.outputs)), np.nan)
    many.run_many(examples[:5], together[:5])
    many.run_many(examples[5:], together[5:])
    assert together.tobytes() == np.stack([_run(one, frame) for frame in examples]).tobytes()
    assert np.isnan(together[3]).any() and np.isfinite(together[4]).any()


def test_a_copy_has_room_of_its_own(plan: Plan) -> None:
    one, other = plan.copy(), plan.copy()
    first = _run(one, example_patterns()[0])
    _run(other, example_patterns()[9])
    assert _run(one, example_patterns()[0]).tobytes() == first.tobytes()
    assert not any(np.shares_memory(a, b) for a, b in zip(_arrays(one), _arrays(other), strict=True))


def test_frames_that_cannot_be_written_to_are_no_news_after_the_warm_up(plan: Plan) -> None:
    plan.warm()
    compiled = [len(step[0].signatures) for step in plan._steps if hasattr(step[0], "signatures")]
    frozen = np.frombuffer(example_patterns()[0].tobytes(), np.uint8).reshape(96, 96)
    _run(plan, frozen)
    _run(plan, frozen.copy())
    assert compiled == [len(step[0].signatures) for step in plan._steps if hasattr(step[0], "signatures")]


def test_names_stand_for_places(plan: Plan) -> None:
    names = [output.name for output in plan.outputs]
    assert names[:5] == ["sum.counts", "com.y", "com.x", "dpc.y", "dpc.x"]
    assert names[-4:] == [f"pattern-strain.{part}" for part in ("e_xx", "e_yy", "e_xy", "rotation")]
    assert plan.place("strain.e_xy") == names.index("strain.e_xy")
    assert plan.place("com") == 1
    with pytest.raises(OptionError, match=r"no 'com\.z'.*com\.y"):
        plan.place("com.z")


def test_every_kernel_of_the_registry_is_one() -> None:
    made = [name for name in registry.names(GROUP) if name not in ("mask", "onnx", "solver")]
    assert all(isinstance(kernel_of(name), Kernel) and kernel_of(name).name == name for name in made)


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["nothing"], "choose one of sum, com"),
        (["com", "com"], "there are two 'com'"),
        ([], "nothing is to be computed"),
        (["com:3"], "takes no parameters"),
        (["mask"], "needs parameters"),
        (["onnx:nowhere.onnx"], "cannot be read"),
        (["mask:nowhere.npy"], "cannot be read"),
        (["bf:wide"], "a disc is radius"),
        (["ring:1,2,3"], "a ring is"),
        (["dpc:1,2"], "dpc takes rotation"),
        (["a.b=com"], "no name of a kernel"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_in_a_line(texts: list[str], said: str) -> None:
    with pytest.raises(OptionError, match=said) as caught:
        Plan(texts, example_detector())
    assert "\n" not in str(caught.value)


def test_parameters_follow_a_colon(tmp_path) -> None:
    area = np.zeros((4, 4))
    area[1, 2] = 1
    np.save(tmp_path / "area.npy", area)
    made = kernel_of(f"spot=mask:{tmp_path / 'area.npy'}")
    assert isinstance(made, Region)
    assert made.name == "spot"
    assert made.area.sum() == 1
    assert kernel_of("bf:10,11,3").centre == (10, 11)
    assert kernel_of("adf:4,8").outer == 8
    assert kernel_of("dpc:90,3,4").rotation == pytest.approx(np.pi / 2)


def test_examples_are_as_many_as_are_wanted_and_there() -> None:
    assert examples_of(["com"]) == 0
    assert examples_of(["com", "bf", "strain"]) == 64
    scan = Frames.from_array(np.arange(12).reshape(3, 4, 1, 1))
    assert examples_from(scan, 5).ravel().tolist() == [0, 2, 5, 8, 11]
    assert len(examples_from(scan, 50)) == 12
    with pytest.raises(InputError, match="are 3, not 16"):
        Plan(["bf"], example_detector(), example_patterns()[:3])
    with pytest.raises(ShapeError, match="examples"):
        Plan(["bf"], example_detector(), np.zeros((16, 4, 4), np.uint8))
    with pytest.raises(ShapeError, match="mask"):
        Plan(["sum"], Detector((4, 4), "uint8", np.zeros((3, 3), np.bool_), 255, (1, 1)))


def test_a_plan_for_other_patterns_is_refused(plan: Plan) -> None:
    with pytest.raises(InputError, match="the plan is for"):
        over(Frames.from_array(np.zeros((1, 1, 4, 4), np.uint8)), plan)


@pytest.mark.parametrize("dtype", [">u2", "bool", "float64", "<i4"])
def test_any_type_of_a_file_is_taken(dtype: str) -> None:
    data = np.random.default_rng(0).integers(0, 2, (2, 2, 5, 6)).astype(dtype)
    rows: list[tuple[int, int]] = []
    found = over(Frames.from_array(data), ["sum"], lambda done, of: rows.append((done, of)))
    assert found["sum.counts"].tolist() == data.sum((2, 3), dtype=np.float64).tolist()
    assert rows == [(1, 2), (2, 2)]
    assert detector_of(Frames.from_array(data)).nodata == {">u2": 65535, "bool": 255}.get(dtype, -1)


def test_real_files_have_maps(sample_files) -> None:
    paths = sorted(p for p in (sample_files / "microscopy").rglob("*") if p.suffix in {".h5", ".mib", ".hspy", ".emd"})
    for path in paths:
        try:
            scan = open_frames(path)
        except InputError:
            continue
        found = over(Frames.from_array(np.asarray(scan.data[:1, :3])), ["sum", "com"])
        assert np.isfinite(found["sum.counts"]).any()
        return
    pytest.skip("no scan of patterns among the sample files")


def _run(plan: Plan, frame: np.ndarray) -> np.ndarray:
    out = plan.room()
    plan.run(frame, out)
    return out


def _arrays(plan: Plan) -> list[np.ndarray]:
    """Arrays of the compiled steps."""
    flat: list[np.ndarray] = []
    for _, state, _ in plan._steps:
        for part in state:
            flat += [a for a in (part if isinstance(part, tuple) else (part,)) if isinstance(a, np.ndarray) and a.size]
    return flat
