"""`netvigil plugins list`, `doctor`, `new`."""

from __future__ import annotations

from pathlib import Path

import click

from netvigil.cli.shared import EXISTING, as_json, print_json, print_table


@click.group()
def plugins() -> None:
    """List, examine and start plugins."""


@plugins.command("list", epilog="Example: netvigil plugins list --json")
@as_json
def list_(*, as_json: bool) -> None:
    """Show every part that installed packages provide."""
    from netvigil.plugins import load_plugins

    found = load_plugins()
    rows = [
        (r.part.kind, r.part.name, str(r.provider), r.part.summary)
        for r in sorted(found.registered, key=lambda r: (r.part.kind, r.part.name))
    ]
    if as_json:
        names = ("kind", "name", "provider", "summary")
        parts = [dict(zip(names, row, strict=True)) for row in rows]
        failed = [{"plugin": f.provider.name, "error": str(f.error)} for f in found.failures]
        print_json({"parts": parts, "failures": failed, "disabled": list(found.disabled)})
        return
    print_table("", ("kind", "name", "provider", "summary"), rows)
    if found.failures or found.conflicts():
        click.echo("Some plugins have problems; see `netvigil plugins doctor`.", err=True)


@plugins.command(epilog="Example: NETVIGIL_DISABLE_PLUGINS=acme netvigil plugins doctor")
@click.option("--traceback", is_flag=True, help="Show where a plugin failed.")
@as_json
@click.pass_context
def doctor(ctx: click.Context, *, traceback: bool, as_json: bool) -> None:
    """Say which plugins load, which fail and why, and which names collide; problems exit with 1."""
    from netvigil.plugins import load_plugins

    found = load_plugins()
    failed = {f.provider.name: f for f in found.failures}
    conflicts = [f"{kind} '{name}'" for kind, name in found.conflicts()]
    if as_json:
        print_json(
            {
                "plugins": [{"name": p.name, "provider": str(p)} for p in found.providers],
                "failures": {n: str(f.error) for n, f in failed.items()},
                "conflicts": conflicts,
                "disabled": list(found.disabled),
            }
        )
    else:
        named = {p.name: p for p in found.providers} | {n: f.provider for n, f in failed.items()}
        rows = [
            (name, str(p), "failed" if name in failed else "ok")
            for name, p in sorted(named.items())
        ]
        rows += [(name, "", "disabled") for name in found.disabled]
        print_table("", ("plugin", "provider", "status"), rows)
        for failure in found.failures:
            click.echo(f"\n{failure.error}")
            if traceback:
                click.echo(failure.details)
        for conflict in conflicts:
            click.echo(f"\nTwo packages provide the {conflict}; asking for it is an error.")
    if failed or conflicts:
        ctx.exit(1)


@plugins.command(epilog="Example: netvigil plugins new acme-depth --to acme-depth")
@click.argument("name")
@click.option("--to", type=EXISTING, required=True, help="Folder to write the package to.")
def new(name: str, to: Path) -> None:
    """Start a package that adds one scorer called NAME: working code, and its conformance test."""
    from netvigil.scaffold import write_scorer_package

    written = write_scorer_package(name, to)
    for path in written:
        click.echo(path)
    click.echo(f"Next: pip install -e {to} && pytest {to} && netvigil plugins list")
