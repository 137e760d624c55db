"""The command line: ``python -m crm_core <verb>``. Each verb imports what it needs when it runs, so that ``--help`` is quick.

Exit codes: 0 done; 1 a fault in the program; 2 a wrong option; 3 the database or another service can't do it now; 4 the input was refused,
nothing changed; 5 done, but some rows were rejected; 6 the check found something wrong; 130 stopped with Ctrl+C.
"""

import typer

from crm_core.cli import commands, keeping, people, running
from crm_core.cli.output import guarded

EPILOG = (
    "Exit codes: 0 done · 1 a fault · 2 wrong option · 3 the database or a service can't · 4 input refused, nothing changed · "
    "5 done with rejected rows · 6 check found something wrong · 130 stopped"
)

app = typer.Typer(
    name="rapport",
    help="Rapport, a CRM whose analytics are honest. RAPPORT_DATABASE_URL chooses the database; unset means SQLite under data/local/.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
commands.register(app)
keeping.register(app)
running.register(app)
app.add_typer(people.app, name="user")


def main() -> None:
    """Run one verb and end with its exit code."""
    guarded(app)
