# The events of a log that count, in their order: without steps that a resumed run has done again or will do again, and
# without half a line at the end. The first step of each process has "first": true.
def counted:
  reduce (inputs | fromjson? | objects) as $e ({first: true, kept: []};
    if $e.event == "run_start" then .first = true
    elif $e.event == "resume" then .kept |= map(select(.step <= $e.step))
    elif $e.event == "train_step" and .first then .kept |= map(select(.step < $e.step))
    else . end
    | if $e.event == "train_step" then .kept += [$e + {first}] | .first = false else .kept += [$e] end
  ) | .kept;

# The events of a kind.
def of(kind): map(select(.event == kind));

# The steps without the first one of each process, which takes longer because it compiles, and without traced ones.
def steady:
  map(select(.event == "trace").step) as $traced
  | of("train_step") | map(select(.step as $step | .first or ($traced | any(. == $step)) | not));

def total(f): map(f) | add // 0;
def ratio(a; b): if b == 0 then null else a / b end;
def mean(f): ratio(total(f); length);
def share(f): ratio(total(f); total(.step_ms));
