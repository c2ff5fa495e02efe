"""`netvigil bench`."""

from __future__ import annotations

import time

import click

from netvigil.cli.shared import as_json, print_json, print_table


@click.command(epilog="Example: netvigil bench --room build --flows 1000000")
@click.option("--room", help="Only this room: read, transform, build, score, ...")
@click.option("--flows", default=100_000, show_default=True, help="Flows of the generated input.")
@click.option("--rounds", default=3, show_default=True, help="Timed rounds; the median counts.")
@click.option("--seed", default=0, show_default=True, help="Seed of the generated input.")
@as_json
def bench(room: str | None, flows: int, rounds: int, seed: int, *, as_json: bool) -> None:
    """Time the micro-benchmarks that installed plugins bring, on this machine.

    Ratios against the published way of working are in the project's bench folder.
    """
    from netvigil import parts
    from netvigil.plugins import load_plugins

    results = []
    for registered in load_plugins().of(parts.Benchmark):
        part = registered.part
        if room is not None and part.room != room:
            continue
        benchmark = part.make(part.config())
        prepared = benchmark.setup(flows, seed=seed)
        benchmark.run(prepared)  # warm-up
        rates = []
        for _ in range(rounds):
            begin = time.perf_counter()
            handled = benchmark.run(prepared)
            rates.append(handled / (time.perf_counter() - begin))
        rate = sorted(rates)[len(rates) // 2]
        results.append({"room": part.room, "name": part.name, "flows_per_s": round(rate)})
    if as_json:
        print_json(results)
        return
    rows = [(r["room"], r["name"], f"{r['flows_per_s']:,}") for r in results]
    print_table(f"{flows:,} flows, median of {rounds}", ("room", "benchmark", "flows/s"), rows)
