#!/bin/sh
# Runs a CUDA compiler (the arguments) and moves what ptxas says about registers and spills from its
# messages into OBJECT.ptxas.
object=
before=
for argument in "$@"; do
  [ "$before" = -o ] && object=$argument
  before=$argument
done
log=$(mktemp)
trap 'rm -f "$log"' EXIT
"$@" 2>"$log"
status=$?
case $object in
  *.o)
    grep -E 'ptxas info|bytes stack frame|Used [0-9]+ registers|Function properties' "$log" >"$object.ptxas"
    grep -vE 'ptxas info|bytes stack frame|Used [0-9]+ registers|Function properties' "$log" >&2
    ;;
  *) cat "$log" >&2 ;;
esac
exit $status
