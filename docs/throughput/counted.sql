-- counted(log): the events of a log that count, in their order: without steps that a resumed run has done again or will do
-- again, and without half a line at the end. `first` marks the first step of each process, `traced` a traced step. `log` may be a list
-- of files. With --log-steps a line is about several steps: `steps` says about how many (1 in other lines), and times, bytes and
-- images are their sums.
CREATE TEMP MACRO counted(log) AS TABLE
  WITH lines AS (
    SELECT row_number() OVER () AS line, * REPLACE (coalesce(steps, 1) AS steps)
    FROM read_json(log, format = 'newline_delimited', filename = true, ignore_errors = true, maximum_object_size = 16777216, columns = {
      time: 'BIGINT', event: 'VARCHAR', step: 'BIGINT', steps: 'BIGINT', epoch: 'BIGINT', images: 'BIGINT',
      loss: 'DOUBLE', top1: 'DOUBLE', learning_rate: 'DOUBLE', images_per_s: 'DOUBLE',
      step_ms: 'DOUBLE', data_ms: 'DOUBLE', compute_ms: 'DOUBLE', exchange_ms: 'DOUBLE', wait_ms: 'DOUBLE', other_ms: 'DOUBLE',
      exchange_bytes: 'BIGINT', eval_ms: 'DOUBLE', copy_ms: 'DOUBLE', write_ms: 'DOUBLE',
      towers: 'STRUCT(tower BIGINT, step_ms DOUBLE, compute_ms DOUBLE, exchange_ms DOUBLE, wait_ms DOUBLE, exchange_bytes BIGINT)[]',
      sites: 'STRUCT(site VARCHAR, direction VARCHAR, tower BIGINT, bytes BIGINT)[]'
    })
  ), processes AS (
    SELECT *, count(*) FILTER (event = 'run_start') OVER (PARTITION BY filename ORDER BY line) AS process,
      min(CASE event WHEN 'train_step' THEN step - steps + 1 WHEN 'resume' THEN step + 1 END)
        OVER (PARTITION BY filename ORDER BY line DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS next_step
    FROM lines
  )
  SELECT * EXCLUDE next_step,
    event = 'train_step' AND step = min(step) FILTER (event = 'train_step') OVER (PARTITION BY filename, process) AS first,
    event = 'train_step' AND bool_or(event = 'trace') OVER (PARTITION BY filename, process, step) AS traced
  FROM processes
  QUALIFY coalesce(step < next_step, true)
  ORDER BY line;

-- The steps without the first one of each process, which takes longer because it compiles, and without traced ones.
CREATE TEMP MACRO steady(log) AS TABLE SELECT * FROM counted(log) WHERE event = 'train_step' AND NOT first AND NOT traced;
