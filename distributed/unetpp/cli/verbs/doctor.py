"""unetpp doctor: what works on this machine and how to mend what does not."""

import dataclasses

import typer

from unetpp.cli.terminal.output import Json, emit, note

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb."""

    @app.command()
    def doctor(
        json: Json = False,
    ) -> None:
        """Check versions, cores, memory, GPU, Ray, S3 credential, token and disk; exit 1 if one fails."""
        from unetpp.cli.doctor_checks import run_checks

        checks = run_checks()
        width = max(len(check.name) for check in checks)
        for check in checks:
            note(f"{check.status:4}  {check.name:{width}}  {check.detail}")
            if check.fix:
                note(f"{'':4}  {'':{width}}  fix: {check.fix}")
        failed = [check.name for check in checks if check.status == "fail"]
        warned = [check.name for check in checks if check.status == "warn"]
        result = {"ok": not failed, "failed": failed, "warnings": warned}
        emit(
            {**result, "checks": [dataclasses.asdict(check) for check in checks]} if json else result,
            json=json,
        )
        if failed:
            raise typer.Exit(1)
