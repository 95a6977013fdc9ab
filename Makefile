# Lianyun. `make demo` and `make test` need Python 3.11+ and make, nothing else.
# 连云。`make demo` 与 `make test` 只需要 Python 3.11 以上和 make。

SHELL := /bin/sh
.DEFAULT_GOAL := help
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3 python; do \
	if "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then echo $$p; break; fi; done)
BOOTSTRAP = $(or $(PYTHON),$(error 需要 Python 3.11 或更高版本 / Python 3.11+ is needed)) src/lianyun/project/bootstrap.py
BIN = $(if $(LIANYUN_VENV),$(LIANYUN_VENV),.venv)/bin

PEOPLE ?= 20000
SEED ?= 1
SERVE ?= 1
WORKERS ?= 4
TESTS ?=
ONLY ?=

.PHONY: help setup setup-dev setup-spark demo up test test-slow check format bench new baseline locks

help: ## 列出各项命令
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

setup: ## 准备运行环境(.venv、前端库)
	@$(BOOTSTRAP)

setup-dev:
	@$(BOOTSTRAP) --dev

setup-spark: ## 准备 Spark 驱动与 Sail(LIANYUN_ENGINE=spark://… 需要)
	@$(BOOTSTRAP) --spark

demo: setup ## 建立样例城市并运行主流程(SERVE=0 不启动服务;PEOPLE=人数;SEED=种子)
	@$(BIN)/lianyun demo --people $(PEOPLE) --seed $(SEED) $(if $(filter 0,$(SERVE)),--no-serve)

up: setup ## 启动联云(数据库、网站、后台任务)
	@$(BIN)/lianyun up

test: ## 运行全部测试(TESTS=路径 只运行一部分)
	@$(BOOTSTRAP) --dev --spark --system
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(TESTS)

test-slow: ## 运行耗时较长的测试(全部 Spark、级联两节点全程、Febrl 2 和 3、更多随机种子)
	@$(BOOTSTRAP) --dev --spark --system
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m slow

check: setup-dev ## 格式、静态检查、类型、导入契约、架构测试、行业包、迁移
	@$(BIN)/python -m lianyun.project.check

format: setup-dev ## 整理代码格式
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

bench: setup-dev ## 性能测试(ONLY=名称 只运行一项)
	@$(BIN)/python benchmarks/run.py $(ONLY)

new: setup-dev ## 新建能力或行业包:make new capability=x / make new pack=x
	@$(BIN)/python -m lianyun.project.scaffold $(if $(capability),capability $(capability)) $(if $(pack),pack $(pack))

baseline: setup-dev ## 重新生成数据库基线 baseline.sql
	@$(BIN)/python -m lianyun.project.baseline --write

locks: setup-dev ## 由 requirements*.in 重新生成带哈希的锁文件
	@for f in requirements-bootstrap requirements requirements-dev requirements-spark; do \
	  $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes \
	    --no-emit-index-url --no-header -o $$f.lock $$f.in || exit 1; done
