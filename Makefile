.PHONY: setup check lint types test fast thorough faults docs locks zipapp bench budgets site

# For contributors; what each is for: CONTRIBUTING.md. CI calls the same targets.

# Without it each interpreter that a test starts compiles all of verl-env anew.
unexport PYTHONDONTWRITEBYTECODE

# One more than there are cores, as many tests wait; a file is one worker's, as what it makes is dear.
PARALLEL = -n $$(( $$(nproc) + 1 )) --dist loadfile

check: lint types test

setup:
	python3 -m venv .venv-dev
	.venv-dev/bin/python -m pip install --quiet --upgrade "pip>=25.3"
	.venv-dev/bin/python -m pip install --quiet --editable ".[uv]" --group dev
	@echo "now: . .venv-dev/bin/activate"

lint:
	ruff check .
	ruff format --check .

types:
	mypy

test:
	pytest $(PARALLEL)

fast:
	pytest $(PARALLEL) -m "not slow and not e2e and not thorough"

thorough:
	HYPOTHESIS_PROFILE=thorough pytest $(PARALLEL) -m "not e2e"

# Everything that tries to break it, FAULT_ROUNDS times as often as in "make test"; before a release.
FAULTS = tests/faults tests/test_launch.py tests/test_interrupts.py tests/test_locking.py tests/install/whole/test_kill.py \
	tests/install/whole/test_failures.py tests/additions/test_kill.py tests/additions/test_overlap.py \
	tests/environment/test_kill.py tests/builds/test_kill.py tests/doctor/test_hostile.py tests/bundle/test_verify.py tests/runtime

faults:
	FAULT_ROUNDS=$${FAULT_ROUNDS:-100} HYPOTHESIS_PROFILE=thorough pytest $(PARALLEL) -m "not e2e" -rP $(FAULTS)

docs:
	verl-env lock --offline
	python docs/build.py
	python -m verl_env.doctor.docs docs/doctor

locks:
	verl-env lock --check --offline

zipapp:
	python packaging/zipapp.py

# make bench ONLY="plan nothing" ENV=.venv
bench:
	python benchmarks/bench.py $(ONLY) $(if $(ENV),--env $(ENV))

budgets:
	python benchmarks/budgets.py

# Needs: pip install --group site
site:
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict --quiet
	@echo "now: site/index.html"
