# make run and make test are all a newcomer needs; both set up whatever is missing.
.DEFAULT_GOAL := help
.PHONY: help run test check bench clean

# The first Python that really runs, of 3.9 or later: only local/bootstrap.py uses it, the rest uses .venv.
PYTHON := $(shell for p in python3 python /usr/bin/python3 /usr/local/bin/python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null && { echo $$p; break; }; done)
ifeq ($(PYTHON),)
$(error Python 3.9 or later is missing: install it and try again)
endif

VENV := .venv/bin
PORT ?= 8080
CODE := layers functions cli local bench examples
TYPED := grantkeeper functions/* cli local bench examples
run_options = --port $(PORT) $(if $(HOST),--host $(HOST)) $(if $(PROVIDERS),--providers "$(PROVIDERS)") \
	$(if $(MINISTACK_PORT),--ministack-port $(MINISTACK_PORT))

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

run: ## the whole product on this machine; PORT=8080 HOST=127.0.0.1 PROVIDERS=file MINISTACK_PORT=…
	@$(PYTHON) local/bootstrap.py run
	@exec $(VENV)/python -m local.run $(run_options)

test: ## everything: format, lint, types, template, then all tests; CI=true skips nothing
	@$(PYTHON) local/bootstrap.py test
	@$(MAKE) --no-print-directory check
	@exec $(VENV)/python -m tests.support.layers

check: ## format, lint, types and template, without tests
	@$(PYTHON) local/bootstrap.py run
	@exec $(VENV)/python -m local.check

bench: ## benchmarks; each also runs alone, see bench/
	@$(PYTHON) local/bootstrap.py test
	@$(VENV)/python -m bench.token_read
	@$(VENV)/python -m bench.sweep
	@$(VENV)/python -m bench.stats
	@exec $(VENV)/python -m bench.cold_start

clean: ## remove what was built and downloaded here
	rm -rf .venv .local .aws-sam .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage* htmlcov build \
		tests/node/node_modules examples/spa/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
