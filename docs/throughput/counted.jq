# The events of a log that count, in their order: without steps that a resumed run has done again or will do again, and
# without half a line at the end. The first step of each process has "first": true. With --log-steps a line is about several
# steps: `steps` says about how many, and times, bytes and images are their sums.
def counted:
  [inputs | fromjson? | objects | del(.level, .msg, .config, .layers, .worst)]
  # From the end: an event counts if no later line goes on with its step or an earlier one.
  | reverse
  | [foreach .[] as $e ({next: infinite};
      .kept = (($e.step // 0) < .next)
      | if $e.event == "train_step" then .next = ([.next, $e.step - ($e.steps // 1) + 1] | min)
        elif $e.event == "resume" then .next = ([.next, $e.step + 1] | min)
        else . end;
      if .kept then $e else empty end)]
  | reverse
  | [foreach .[] as $e ({first: true};
      .event = (if $e.event == "train_step" then $e + {first} else $e end)
      | if $e.event == "run_start" then .first = true elif $e.event == "train_step" then .first = false else . end;
      .event)];

# The events of a kind.
def of(kind): map(select(.event == kind));

# The steps without the first one of each process, which takes longer because it compiles, and without traced ones.
def steady:
  map(select(.event == "trace").step) as $traced
  | of("train_step") | map(select(.step as $step | .first or ($traced | any(. == $step)) | not));

def total(f): map(f) | add // 0;
# How many steps the lines are about.
def steps: total(.steps // 1);
def ratio(a; b): if b == 0 then null else a / b end;
def share(f): ratio(total(f); total(.step_ms));
