"""All scenarios of a trial, in the order in which they run."""

from tests.trial.configuring import CONFIGURING
from tests.trial.faults import FAULTY
from tests.trial.journeys import JOURNEYS
from tests.trial.live import LIVE
from tests.trial.rolling import ROLLING

SCENARIOS = [*JOURNEYS, *CONFIGURING, *ROLLING, *LIVE, *FAULTY]
