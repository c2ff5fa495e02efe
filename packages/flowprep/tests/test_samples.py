"""The packaged sample: whole, readable without NFStream, with a clean past and rare attacks."""

from __future__ import annotations

import gzip

import polars as pl
import pyarrow.parquet as pq
import pytest

from netvigil import parts
from netvigil.contracts import LabelTable
from netvigil.plugins import load_plugins
from netvigil.samples import write_sample
from netvigil.store import FlowStore
from netvigil_flowprep import plugin
from netvigil_flowprep.labellers.config import EventsConfig
from netvigil_flowprep.labellers.event_files import read_events
from netvigil_flowprep.labellers.events import EventLabels


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The sample, written by its part."""
    folder = tmp_path_factory.mktemp("sample")
    part = load_plugins(entry_points=False, extra=[plugin]).sample("office")
    return part.make(part.config()).write(folder)


@pytest.fixture(scope="module")
def flows(written):
    """Its flows with their labels, in time order; `place` runs from 0 to 1 over the time."""
    frame = pl.read_parquet(written.flows).join(pl.read_parquet(written.labels), on="flow_id")
    passed = (frame["start"] - frame["start"].min()).dt.total_microseconds()
    return frame.with_columns(place=passed / passed.max())


def test_it_is_the_only_sample_and_therefore_the_default(tmp_path):
    plugins = load_plugins(entry_points=False, extra=[plugin])
    assert plugins.names(parts.Sample) == ["office"]
    assert write_sample(plugins, tmp_path / "here").flows == tmp_path / "here" / "flows.parquet"


def test_flows_and_labels_are_what_netvigil_writes(written):
    store = FlowStore.open(written.flows)
    assert store.info.format == "pcap"
    labels = LabelTable(pq.read_table(written.labels))
    assert len(labels.table) == len(store)


def test_the_events_give_the_stored_labels(written):
    labeller = EventLabels(EventsConfig(truth=written.events))
    made = [labeller.label(flows, None).table for flows in FlowStore.open(written.flows).batches()]
    stored = pq.read_table(written.labels)
    assert pl.concat(map(pl.from_arrow, made)).equals(pl.from_arrow(stored))
    summary = labeller.summary()
    assert summary.truth_rows_matched > 0.8 * summary.truth_rows  # silent addresses have no flows


def test_the_capture_is_a_compressed_pcapng(written):
    with gzip.open(written.capture) as file:
        assert file.read(4).hex() == "0a0d0d0a"


def test_attacks_are_rare_and_the_past_is_clean(flows):
    attack = flows["is_attack"]
    assert 6_000 <= flows.height <= 20_000
    assert 0.05 <= attack.mean() <= 0.25
    before = flows.filter(pl.col("place") < 0.66)
    assert 0 < before["is_attack"].sum() < 0.005 * before.height


def test_every_category_is_in_the_part_that_is_tested(flows, written):
    late = flows.filter(pl.col("is_attack") & (pl.col("place") > 0.68))
    categories = set(read_events(written.events).frame["category"])
    assert set(late["attack"]) == categories
    assert len(categories) >= 12


def test_attackers_behave_well_towards_others_at_the_same_time(flows):
    """So a host alone gives nothing away; nor does a pair of hosts, for many attacks."""
    late = flows.filter(pl.col("place") > 0.68)
    good = late.filter(~pl.col("is_attack"))
    for host in ("10.20.1.12", "10.20.1.13", "10.20.1.14", "10.20.1.15", "10.20.1.20"):
        assert (good["src_ip"] == host).sum() > 10, host
    pair = pl.concat_str("src_ip", "dst_ip", separator=" ")
    known = set(flows.filter(pl.col("place") < 0.5).select(pair).to_series())
    attacks = late.filter("is_attack").with_columns(known=pair.is_in(list(known)))
    by_class = dict(attacks.group_by("attack").agg(pl.col("known").mean()).iter_rows())
    for name in ("beacon", "lateral", "exfiltration", "http_guess", "http_flood", "ssh_guess"):
        assert by_class[name] == 1, name
