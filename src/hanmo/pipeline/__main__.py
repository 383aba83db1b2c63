"""`python -m hanmo.pipeline FOLDER STAGE`: do one stage of the run in FOLDER, as `hanmo run` does each of its stages."""

import os
import sys
from pathlib import Path

from hanmo.base.errors import HanmoError, words_of_system
from hanmo.base.runs import Run


def main(folder: str, name: str) -> int:
    """Do the stage here; gives the exit code, after one line about what went wrong."""
    # before torch is loaded: threads that spin take cores from others
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from hanmo.pipeline.life import begun_recipe, live_one

    run = Run(Path(folder))
    try:
        live_one(name, begun_recipe(run), run)
    except HanmoError as error:
        return _failed(name, str(error), error.exit_code)
    except KeyboardInterrupt:
        return _failed(name, "interrupted; the same command goes on from what is saved", 1)
    except (OSError, MemoryError, RuntimeError) as error:
        if not (said := words_of_system(error)):
            raise
        return _failed(name, said, 1)
    return 0


def _failed(name: str, message: str, code: int) -> int:
    sys.stderr.write(f"hanmo run, {name}: {message}\n")
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
