# Two commands set everything up on a machine with Python 3.11+ and make: `make run` and `make test`.
PYTHON ?= python3
CORES ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu)
VENV := .venv
BIN := $(VENV)/bin
# on all cores, as pip does not; what does not compile (templates, code for other Pythons) is never imported
COMPILE := $(BIN)/python -m compileall -qq -j 0 -x /tests/ $(VENV)/lib || true

# a job lasts a second or two, and to compile what it imports takes as long again: what is compiled is kept
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test status clean

run: $(VENV)/run.stamp ## the main job on the default: simulated shoot to evaluated models
	$(BIN)/snakemake --cores $(CORES) all
	@$(BIN)/python -m pipeline.report.timings

test: $(VENV)/test.stamp ## every test
	$(BIN)/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder

$(VENV)/run.stamp: pyproject.toml constraints.txt
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt -e ".[demo]"
	$(COMPILE)
	touch $@

# in one pass, and then make run has nothing to install
$(VENV)/test.stamp: pyproject.toml constraints.txt
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt -e ".[demo,films,slurm,test,usd]"
	$(COMPILE)
	touch $(VENV)/run.stamp $@

clean: ## remove the environment; output under data/ stays
	rm -rf $(VENV)

status: ## which takes are done, which failed where and why; installs nothing
	@test -x $(BIN)/python || { echo "no environment in $(VENV) yet: make run makes it and runs the default; with another one, python -m pipeline.planning.status" >&2; exit 2; }
	@$(BIN)/python -m pipeline.planning.status $(if $(CONFIG),--config $(CONFIG))
