.PHONY: setup check lint types test fast thorough docs locks zipapp

# For contributors; what each is for: CONTRIBUTING.md. CI calls the same targets.

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
	pytest $(PARALLEL) -m "not slow and not e2e"

thorough:
	HYPOTHESIS_PROFILE=thorough pytest $(PARALLEL)

docs:
	verl-env lock --offline
	python docs/build.py
	python -m verl_env.doctor.docs docs/doctor

locks:
	verl-env lock --check --offline

zipapp:
	python packaging/zipapp.py
