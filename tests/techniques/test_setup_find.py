"""The set-up finds what made a scan: square, hexagonal and oblique lattices, spots to large disks, any dose."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from parscope.core.errors import InputError, NoLatticeError, ShapeError
from parscope.techniques.diffraction import Background, DiffractionPattern, Probe, reciprocal_map
from parscope.techniques.diffraction.setup import Given, Setup, find_lattice, find_setup
from parscope.techniques.diffraction.simulate import ScanDesign, simulate

DISTINCT, DRAWS = 24, 8
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Scan:
    """What a made-up scan is made of."""

    size: int = 96
    radius: float = 4.0
    edge: float = 0.6
    spacing: float = 16.0
    ratio: float = 1.0
    angle: float = 11.0
    between: float = 90.0
    descan: float = 0.8
    strain: float = 0.02
    far: float = 0.5

    def physics(self) -> DiffractionPattern:
        """The undeformed pattern of one electron."""
        a, b = np.deg2rad(self.angle), np.deg2rad(self.angle + self.between)
        long = self.spacing * self.ratio
        basis = np.array([[np.sin(a) * self.spacing, np.cos(a) * self.spacing], [np.sin(b) * long, np.cos(b) * long]])
        most = int(2 * self.size / self.spacing)
        numbers = np.stack(np.meshgrid(*[np.arange(-most, most + 1)] * 2, indexing="ij"), axis=-1).reshape(-1, 2)
        q = np.linalg.norm(numbers @ basis, axis=1)
        numbers, q = numbers[q < self.far * self.size], q[q < self.far * self.size]
        shine = np.exp(-((q / (0.3 * self.size)) ** 2)) * np.exp(np.random.default_rng(5).normal(0, 0.4, len(q)))
        shine[q > 0] *= 0.44 / shine[q > 0].sum()
        shine[q == 0] = 0.36
        amplitude = shine / (np.pi * (self.radius**2 + self.edge**2))
        middle = (self.size / 2, self.size / 2)
        width = 0.11 * self.size
        level = 0.2 / (np.pi * width**2 * np.log(1 + (0.56 * self.size / width) ** 2))
        probe, shape = Probe(self.radius, self.edge), (self.size, self.size)
        return DiffractionPattern(shape, probe, middle, basis, numbers, amplitude, Background(level, width))

    def theta(self) -> Array:
        """Wander, strain and rotation of each distinct pattern."""
        t = np.linspace(0, 2 * np.pi, DISTINCT, endpoint=False)
        strain = [self.strain * np.sin(t + phase) for phase in (0.0, 1.0, 2.0)]
        turn = np.deg2rad(1.0) * np.sin(2 * t)
        wander = self.descan * np.stack([np.sin(2 * t), np.cos(t)], axis=-1)
        return np.concatenate([self.size / 2 + wander, reciprocal_map(*strain, turn).reshape(-1, 4)], axis=1)


def expected(scan: Scan) -> Array:
    """Patterns of one electron each."""
    return np.asarray(scan.physics().render(scan.theta()))


def counted(patterns: Array, electrons: float, draws: int = DRAWS) -> NDArray[np.uint16]:
    """What a counting detector makes of them."""
    generator = np.random.default_rng(int(electrons))
    return np.concatenate([generator.poisson(patterns * electrons) for _ in range(draws)]).astype(np.uint16)


def check_lattice(scan: Scan, setup: Setup, relative: float = 0.005, degrees: float = 0.2) -> None:
    """The cell is primitive and the vectors are those of the mean of the scan."""
    truth = scan.physics().basis @ scan.theta()[:, 2:].reshape(-1, 2, 2).mean(axis=0).T
    numbers = np.rint(setup.physics.basis @ np.linalg.inv(truth))
    assert abs(np.linalg.det(numbers)) == pytest.approx(1)
    wanted = numbers @ truth
    found = setup.physics.basis
    lengths = np.linalg.norm(found, axis=1) / np.linalg.norm(wanted, axis=1)
    assert lengths == pytest.approx(1, abs=relative)
    cross = found[:, 1] * wanted[:, 0] - found[:, 0] * wanted[:, 1]
    turn = np.degrees(np.arctan2(cross, (found * wanted).sum(axis=1)))
    assert np.abs(turn).max() < degrees


def check_probe(scan: Scan, setup: Setup, radius: float = 0.15) -> None:
    """Radius within a fraction of a pixel, edge within a quarter."""
    assert setup.physics.probe.radius == pytest.approx(scan.radius, abs=radius)
    assert setup.physics.probe.edge == pytest.approx(scan.edge, rel=0.25)


SCANS = {
    "square": Scan(),
    "hexagonal": Scan(between=60, angle=-37, spacing=18),
    "oblique": Scan(between=75, ratio=1.3, angle=50),
    "rectangular": Scan(ratio=2.1, angle=77, spacing=14),
    "spots": Scan(radius=1.0, edge=1.0, spacing=12, descan=2.0),
    "large disks": Scan(size=128, radius=14, edge=1.0, spacing=33),
    "overlapping": Scan(radius=10, edge=0.8, spacing=16),
    "wandering": Scan(descan=2.0, strain=0.03),
}


@pytest.fixture(scope="module")
def square() -> Array:
    return expected(Scan())


@pytest.mark.parametrize("electrons", [1e3, 1e5])
@pytest.mark.parametrize("scan", SCANS.values(), ids=SCANS.keys())
def test_a_scan_is_set_up_from_its_patterns_alone(scan: Scan, electrons: float) -> None:
    setup = find_setup(counted(expected(scan), electrons))
    faint = electrons < 3e3
    check_lattice(scan, setup, 0.0075 if faint else 0.005, 0.25 if faint else 0.2)
    check_probe(scan, setup, 0.3 if faint else 0.15)
    assert setup.physics.centre == pytest.approx((scan.size / 2, scan.size / 2), abs=0.1)
    assert setup.physics.gain == 1.0
    assert not setup.bad.mask.any()
    assert [0, 0] in setup.physics.indices.tolist()


@pytest.mark.parametrize(("share", "width"), [(0.25, 1.0), (0.5, 1.0), (0.5, 2.0), (0.7, 2.0)])
def test_a_peak_of_the_background_inside_the_direct_disk_is_not_the_disk(share: float, width: float) -> None:
    scan = Scan()
    physics = scan.physics()
    peak = 1 / (1 + ((np.indices(physics.shape) - scan.size / 2) ** 2).sum(axis=0) / width**2)
    peaked = replace(
        physics, amplitude=physics.amplitude * (1 - share) / 0.8, background=Background(share / peak.sum(), width)
    )
    setup = find_setup(counted(np.asarray(peaked.render(scan.theta())), 1e5))
    check_lattice(scan, setup)
    check_probe(scan, setup, 0.25)


def test_three_hundred_electrons_a_pattern_suffice(square: Array) -> None:
    setup = find_setup(counted(square, 300, 12))
    check_lattice(Scan(), setup)
    check_probe(Scan(), setup)


def test_the_rendered_pattern_is_the_mean_pattern(square: Array) -> None:
    setup = find_setup(counted(square, 1e5))
    rendered = setup.physics.render(setup.physics.theta[None])[0]
    total = setup.mean[8:-8, 8:-8].sum()
    assert np.abs(rendered - setup.mean)[8:-8, 8:-8].sum() < 0.06 * total
    assert rendered[8:-8, 8:-8].sum() == pytest.approx(total, rel=0.01)
    assert setup.misfit < 3


def test_amplitudes_and_background_are_those_of_the_scan(square: Array) -> None:
    truth = Scan().physics()
    found = find_setup(counted(square, 1e5)).physics
    wanted = np.argmin(((found.reference[:, None] - truth.reference[None]) ** 2).sum(axis=2), axis=1)
    assert found.amplitude == pytest.approx(1e5 * truth.amplitude[wanted], rel=0.1, abs=0.3)
    offsets = np.array([[0.0, 8.0], [8.0, 8.0], [20.0, 12.0]])
    assert found.background.at(offsets) == pytest.approx(1e5 * truth.background.at(offsets), rel=0.1)


def test_bad_pixels_are_found_and_do_no_harm(square: Array) -> None:
    patterns = counted(square, 1e4)
    spots = np.random.default_rng(1).integers(25, 70, (12, 2))
    patterns[:, spots[:6, 0], spots[:6, 1]] = 60000
    patterns[:, spots[6:, 0], spots[6:, 1]] = 0
    setup = find_setup(patterns)
    check_lattice(Scan(), setup)
    check_probe(Scan(), setup)
    assert setup.bad.hot[spots[:6, 0], spots[:6, 1]].all()
    assert setup.bad.dead[spots[6:, 0], spots[6:, 1]].all()
    assert setup.bad.mask.sum() == 12
    assert setup.physics.mask is not None


def test_a_beam_stop_hides_the_direct_disk_not_the_centre(square: Array) -> None:
    patterns = counted(square, 1e4)
    y, x = np.indices(patterns.shape[1:]) - 48
    stop = (y**2 + x**2 < 8**2) | ((np.abs(y - 1) < 3) & (x < 0))
    patterns[:, stop] = 0
    setup = find_setup(patterns)
    check_lattice(Scan(), setup)
    check_probe(Scan(), setup)
    assert setup.physics.centre == pytest.approx((48, 48), abs=0.1)
    assert setup.bad.blocked[stop].all()
    assert [0, 0] not in setup.physics.indices.tolist()


def test_a_saturated_direct_disk_is_left_out(square: Array) -> None:
    patterns = np.minimum(counted(square, 1e5), 300)
    setup = find_setup(patterns)
    check_lattice(Scan(), setup)
    check_probe(Scan(), setup)
    assert setup.bad.saturated[48, 48]
    assert setup.physics.centre == pytest.approx((48, 48), abs=0.1)
    assert [0, 0] not in setup.physics.indices.tolist()


def test_counts_per_electron_of_a_detector_with_readout_noise(square: Array) -> None:
    noise = np.random.default_rng(2).normal(10, 2, (DISTINCT * DRAWS, 96, 96))
    setup = find_setup((3.7 * counted(square, 1e4) + noise).astype(np.float32))
    check_lattice(Scan(), setup)
    check_probe(Scan(), setup)
    assert setup.physics.gain == pytest.approx(3.7, rel=0.15)


def test_a_vacuum_pattern_gives_the_probe_and_its_ellipse(square: Array) -> None:
    stretch = np.diag([1.01, 1 / 1.01])
    lone = replace(Scan().physics(), probe=Probe(4.5, 0.7, stretch), indices=np.zeros((1, 2), dtype=np.int64))
    lone = replace(lone, amplitude=np.array([2e4]), background=Background(0.0, 1.0))
    vacuum = np.random.default_rng(3).poisson(lone.render(np.array([[44.3, 51.2, 1, 0, 0, 1]]))[0])
    probe = find_setup(counted(square, 1e4), vacuum=vacuum).physics.probe
    assert (probe.radius, probe.edge) == (pytest.approx(4.5, abs=0.02), pytest.approx(0.7, abs=0.02))
    assert probe.distortion == pytest.approx(stretch, abs=0.002)


@pytest.mark.parametrize(("spacing", "ellipse"), [(40.0, (0.0, 0.0)), (21.0, (0.05, 120.0))])
def test_contrast_in_the_disks_is_no_ellipse_and_hides_none(spacing: float, ellipse: tuple[float, float]) -> None:
    design = ScanDesign(scan=(12, 12), electrons=1e4, lattice=(spacing, spacing, -90.0, 79.0), ellipse=ellipse)
    probe = find_setup(simulate(design).rows(0, 12).reshape(-1, *design.pattern)).physics.probe
    assert probe.distortion == pytest.approx(design.distortion, abs=0.015)
    assert probe.radius == pytest.approx(design.radius, abs=0.15)
    assert probe.edge == pytest.approx(design.edge, abs=0.08)


def test_what_is_given_is_kept(square: Array) -> None:
    given = Given(probe_radius=4.2, probe_edge=0.5, gain=2.0, ellipse=(1.02, 0.0), max_q=30.0)
    setup = find_setup(counted(square, 1e4), given=given)
    physics = setup.physics
    assert (physics.probe.radius, physics.probe.edge, physics.gain) == (4.2, 0.5, 2.0)
    assert physics.probe.distortion == pytest.approx(np.diag([1 / np.sqrt(1.02), np.sqrt(1.02)]))
    assert np.linalg.norm(physics.reference, axis=1).max() <= 30.5
    assert {c.name for c in setup.choices if c.how == "given"} == {"probe radius", "probe edge", "gain", "ellipse"}


def test_given_lattice_vectors_are_not_refined(square: Array) -> None:
    basis = Scan().physics().basis
    found = find_setup(counted(square, 1e4), given=Given(g1=tuple(basis[1]), g2=tuple(-basis[0]))).physics
    assert found.basis == pytest.approx(np.array([basis[1], -basis[0]]))


@pytest.mark.parametrize(
    ("patterns", "error", "says"),
    [
        (np.zeros((8, 32, 32)), InputError, "no counts"),
        (np.full((8, 32, 32), 7), InputError, "one value only"),
        (np.full((8, 32, 32), np.nan), InputError, "not finite"),
        (np.ones((8, 32, 32), dtype=complex), InputError, "complex"),
        (np.ones((32, 32)), ShapeError, "(32, 32)"),
        (np.random.default_rng(0).poisson(1.0, (64, 64, 64)), NoLatticeError, "patterns"),
        (np.random.default_rng(0).normal(0.0, 1.0, (64, 64, 64)), NoLatticeError, "patterns"),
    ],
    ids=["zero", "constant", "nan", "complex", "one image", "noise", "readout noise"],
)
def test_what_is_no_scan_is_refused_in_one_line(patterns: Array, error: type[Exception], says: str) -> None:
    with pytest.raises(error) as caught:
        find_setup(patterns)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("level", [0.1, 1.0, 10.0])
def test_rings_of_an_amorphous_film_are_no_lattice(level: float) -> None:
    y, x = np.indices((96, 96)) - 48
    q = np.hypot(y, x)
    rings = np.exp(-(((q - 24) / 5) ** 2)) + 1 / (1 + (q / 10) ** 2) + 40 / (1 + np.exp((q - 5) / 0.5))
    patterns = np.random.default_rng(4).poisson(level * np.broadcast_to(rings, (96, 96, 96)))
    with pytest.raises(NoLatticeError):
        find_setup(patterns)


def test_shapes_that_do_not_fit_are_named(square: Array) -> None:
    patterns = counted(square, 1e4, 2)
    with pytest.raises(ShapeError, match="mask"):
        find_setup(patterns, mask=np.zeros((3, 3), dtype=bool))
    with pytest.raises(ShapeError, match="vacuum"):
        find_setup(patterns, vacuum=np.zeros((3, 3)))


def test_every_choice_says_how(square: Array) -> None:
    choices = find_setup(counted(square, 1e4)).choices
    assert [c.name for c in choices] == [
        *("bad pixels", "gain", "descan", "g1", "g2", "probe radius", "probe edge", "ellipse"),
        *("centre", "disks", "background"),
    ]
    assert all(c.value and c.how for c in choices)


@pytest.mark.parametrize("electrons", [3e3, 1e4, 1e5])
@pytest.mark.parametrize("name", ["square", "hexagonal", "oblique"])
def test_one_pattern_has_its_own_lattice(name: str, electrons: float) -> None:
    scan = SCANS[name]
    patterns, theta = expected(scan)[:6], scan.theta()[:6]
    for pattern, t in zip(counted(patterns, electrons, 1), theta, strict=True):
        lattice = find_lattice(pattern, Probe(scan.radius, scan.edge))
        truth = scan.physics().basis @ t[2:].reshape(2, 2).T
        numbers = np.rint(lattice.basis @ np.linalg.inv(truth))
        assert abs(np.linalg.det(numbers)) == pytest.approx(1)
        assert lattice.basis == pytest.approx(numbers @ truth, abs=40 / np.sqrt(electrons))
        assert lattice.centre == pytest.approx(t[:2], abs=20 / np.sqrt(electrons))
        assert lattice.score > 0.9
        assert lattice.disks >= 7
