"""Training: Splink's own estimates from pairs that are counted once.

For u, Splink compares the same sample again for each field and each of ten chunks, some forty
queries on one processor; here one query compares all fields, on two. For m, it scores every pair
anew at each of up to twenty-five steps; while u stays as it is, a pair's term frequency is a
constant, so pairs that agree alike and whose names are equally rare are counted, and a step is a few
sums. Samples, steps, limits and what is written into the model are Splink's, and so is the model,
but for rounding (ADR 0047).
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any

import numpy as np

_taking_turns = threading.RLock()
_PRIOR = "_probability_two_random_records_match"


def maximised(
    db_api: Any,
    training_settings: Any,
    estimate_without_term_frequencies: bool,
    core_model_settings: Any,
    unique_id_input_columns: list[Any],
    training_fixed_probabilities: set[str],
    df_comparison_vector_values: Any,
) -> list[Any]:
    """What Splink's function of the same signature returns: the model after every step."""
    from splink.internals import expectation_maximisation as splinks
    from splink.internals.misc import prob_to_match_weight

    if estimate_without_term_frequencies or "u" not in training_fixed_probabilities:
        history: list[Any] = splinks.expectation_maximisation(
            db_api,
            training_settings,
            estimate_without_term_frequencies,
            core_model_settings,
            unique_id_input_columns,
            training_fixed_probabilities,
            df_comparison_vector_values,
        )
        return history
    agreements, rare, counts = _patterns(
        db_api, core_model_settings.comparisons, df_comparison_vector_values.physical_name
    )
    model = core_model_settings
    history = [model.copy()]
    for _ in range(training_settings.max_iterations):
        weight = prob_to_match_weight(model.probability_two_random_records_match) + rare
        for comparison, level in zip(model.comparisons, agreements, strict=True):
            weight = weight + _weights(comparison)[level]
        with np.errstate(over="ignore"):
            chance = 1 / (1 + np.exp2(-weight))
        yes, no = chance * counts, (1 - chance) * counts
        records = [_record(_PRIOR, 0, yes.sum() / counts.sum(), no.sum() / counts.sum())]
        for comparison, level in zip(model.comparisons, agreements, strict=True):
            records += _shares(comparison.output_column_name, level, yes, no)
        model = splinks.maximisation_step(training_fixed_probabilities, model, records)
        history.append(model)
        change = splinks._max_change_in_parameters_comparison_levels(history)
        if change["max_abs_change_value"] < training_settings.em_convergence:
            break
    return history


def _patterns(db_api: Any, comparisons: Sequence[Any], table: str) -> tuple[list[Any], Any, Any]:
    """Per comparison each pattern's level (from 0 for empty on), its rarity in bits, its pairs."""
    gammas = [c._gamma_column_name for c in comparisons]
    told = []
    for c in comparisons:
        if c._has_tf_adjustments:
            cases = [
                level._tf_adjustment_sql(c._gamma_column_name, c.comparison_levels)
                for level in c.comparison_levels
            ]
            told.append(f"CASE {' '.join(cases)} END")
    rare = " + ".join(told) or "cast(0 as float8)"
    found = db_api.duckdb_con.execute(
        f"SELECT {', '.join(gammas)}, {rare} AS rare, count(*) AS n FROM {table} GROUP BY ALL "
        "ORDER BY ALL"
    ).fetchnumpy()
    levels = [np.asarray(found[g]).astype(np.int64) + 1 for g in gammas]
    return levels, np.asarray(found["rare"], float), np.asarray(found["n"], float)


def _weights(comparison: Any) -> Any:
    """Bits of each level of a comparison, by its place in `_patterns`."""
    bits = np.zeros(max(v.comparison_vector_value for v in comparison.comparison_levels) + 2)
    for level in comparison.comparison_levels:
        bits[level.comparison_vector_value + 1] = level._match_weight
    return bits


def _record(name: str, value: int, m: float | None, u: float | None) -> dict[str, Any]:
    return {
        "output_column_name": name,
        "comparison_vector_value": value,
        "m_probability": m,
        "u_probability": u,
    }


def _shares(name: str, level: Any, yes: Any, no: Any) -> list[dict[str, Any]]:
    """A comparison's new m and u: the shares of the levels that occur, empty ones left out."""
    m, u = np.bincount(level, yes), np.bincount(level, no)
    m[0] = u[0] = 0
    seen = [int(at) for at in np.unique(level) if at > 0]
    return [
        _record(
            name,
            at - 1,
            float(m[at] / m.sum()) if m.sum() else None,
            float(u[at] / u.sum()) if u.sum() else None,
        )
        for at in seen
    ]


class _Sample:
    """The levels of a sample's pairs, counted for every field and chunk when first asked for."""

    def __init__(self, linker: Any) -> None:
        self.linker = linker
        self.found: list[dict[str, Any]] | None = None

    def chunk(
        self,
        *,
        comparison: Any,
        rhs_chunk_num: int,
        rhs_num_chunks: int,
        counts_accumulator: Any,
        min_count_per_level: int | None,
        probe_percent_of_max_pairs: float | None = None,
        **place: Any,
    ) -> bool:
        """What Splink's function for one field and chunk does; True where that is enough of it."""
        probing = probe_percent_of_max_pairs is not None
        if self.found is None:
            whole = rhs_num_chunks // 10 if probing else rhs_num_chunks
            self.found = self.count(whole, **place)
        level = comparison._gamma_column_name
        counted: dict[int, int] = {}
        for row in self.found:
            if row["probe"] if probing else row["chunk"] == rhs_chunk_num:
                counted[row[level]] = counted.get(row[level], 0) + row["n"]
        counts_accumulator.update_from_chunk_counts(
            [{"comparison_vector_value": value, "u_count": n} for value, n in counted.items()]
        )
        return min_count_per_level is not None and bool(
            counts_accumulator.all_levels_meet_min_u_count(min_count_per_level)
        )

    def count(
        self,
        chunks: int,
        *,
        db_api: Any,
        df_sample: Any,
        split_sqls: list[dict[str, str]],
        input_tablename_sample_l: str,
        input_tablename_sample_r: str,
        link_type: Any,
        source_dataset_input_column: Any,
        unique_id_input_column: Any,
        **_: Any,
    ) -> list[dict[str, Any]]:
        """Pairs by every field's level, the chunk they are in, and whether they are of the probe."""
        from splink.internals.blocking import _sql_gen_where_condition
        from splink.internals.chunking import _chunk_assignment_sql
        from splink.internals.pipeline import CTEPipeline

        own = [c for c in (source_dataset_input_column, unique_id_input_column) if c is not None]
        comparisons = deepcopy(self.linker._settings_obj.comparisons)
        for comparison in comparisons:
            for level in comparison.comparison_levels:
                level._tf_adjustment_column = None  # as Splink does for this estimate

        def within(number: int, of: int) -> str:
            return f"(1=1 {_chunk_assignment_sql(own, number, of, 'r', db_api.sql_dialect)})"

        numbered = " ".join(f"WHEN {within(k, chunks)} THEN {k}" for k in range(1, chunks + 1))
        right = (
            f"(SELECT r.*, CASE {numbered} END AS chunk, {within(1, chunks * 10)} AS probe "
            f"FROM {input_tablename_sample_r} r)"
        )
        asked = ", ".join(
            dict.fromkeys(s for c in comparisons for s in c._columns_to_select_for_blocking())
        )
        where = _sql_gen_where_condition(link_type, own, sql_dialect=db_api.sql_dialect)
        uid = unique_id_input_column.name
        halves = " UNION ALL ".join(
            f"SELECT {asked}, r.chunk, r.probe FROM (SELECT * FROM {input_tablename_sample_l} "
            f"WHERE hash({uid}) % 2 = {half}) l JOIN {right} r ON 1=1 {where}"
            for half in (0, 1)
        )
        levels = ", ".join(
            s for c in comparisons for s in c._columns_to_select_for_comparison_vector_values(False)
        )
        listed = ", ".join(c._gamma_column_name for c in comparisons)
        pipeline = CTEPipeline(input_dataframes=[df_sample])
        pipeline.enqueue_list_of_sqls(split_sqls)
        pipeline.enqueue_sql(halves, "__splink__sampled_pairs")
        pipeline.enqueue_sql(
            f"SELECT {levels}, chunk, probe FROM __splink__sampled_pairs",
            "__splink__sampled_levels",
        )
        pipeline.enqueue_sql(
            f"SELECT {listed}, chunk, probe, count(*) AS n FROM __splink__sampled_levels "
            f"GROUP BY {listed}, chunk, probe",
            "__splink__sampled_counts",
        )
        made = db_api.sql_pipeline_to_splink_dataframe(pipeline)
        rows: list[dict[str, Any]] = made.as_record_list()
        made.drop_table_from_database_and_remove_from_cache()
        return rows


@contextlib.contextmanager
def counted(linker: Any) -> Iterator[None]:
    """Within, `linker` is trained by this module; one training of this process at a time."""
    from splink.internals import em_training_session, estimate_u

    name = "_accumulate_u_counts_from_chunk_and_check_min_count"
    with (
        _taking_turns,
        _instead(em_training_session, "expectation_maximisation", maximised),
        _instead(estimate_u, name, _Sample(linker).chunk),
    ):
        yield


@contextlib.contextmanager
def _instead(module: Any, name: str, function: Any) -> Iterator[None]:
    """Within, a module's function is another one."""
    own = getattr(module, name)
    setattr(module, name, function)
    try:
        yield
    finally:
        setattr(module, name, own)
