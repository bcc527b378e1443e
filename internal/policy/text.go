package policy

import (
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"
)

// largestText bounds what an expression may build, in bytes.
const largestText = 1 << 20

// boundText keeps the two functions in bounds whose results can be far larger
// than what they cost until then: CEL counts a call's cost when it is done.
func boundText(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	call, ok := i.(interpreter.InterpretableCall)
	if !ok {
		return i, nil
	}
	switch call.Function() {
	case "replace":
		return interpreter.NewCall(call.ID(), call.Function(), call.OverloadID(), call.Args(), replace), nil
	case "join":
		return interpreter.NewCall(call.ID(), call.Function(), call.OverloadID(), call.Args(), join), nil
	}
	return i, nil
}

// tooLarge ends the evaluation, as the limit of cost does: an error that is a
// value could be passed over by ||.
func tooLarge() {
	panic(interpreter.EvalCancelledError{Cause: interpreter.CostLimitExceeded, Message: "a text became too large"})
}

func replace(args ...ref.Val) ref.Val {
	var texts [3]string
	for i := range texts {
		text, ok := args[i].(types.String)
		if !ok {
			return types.MaybeNoSuchOverloadErr(args[i])
		}
		texts[i] = string(text)
	}
	most := -1
	if len(args) == 4 {
		n, ok := args[3].(types.Int)
		if !ok {
			return types.MaybeNoSuchOverloadErr(args[3])
		}
		most = int(n)
	}
	text, from, to := texts[0], texts[1], texts[2]
	times := strings.Count(text, from)
	if most >= 0 {
		times = min(times, most)
	}
	if len(text)+times*(len(to)-len(from)) > largestText {
		tooLarge()
	}
	return types.String(strings.Replace(text, from, to, times))
}

func join(args ...ref.Val) ref.Val {
	list, ok := args[0].(traits.Lister)
	if !ok {
		return types.MaybeNoSuchOverloadErr(args[0])
	}
	separator := types.String("")
	if len(args) == 2 {
		if separator, ok = args[1].(types.String); !ok {
			return types.MaybeNoSuchOverloadErr(args[1])
		}
	}
	var parts []string
	size := 0
	for it := list.Iterator(); it.HasNext() == types.True; {
		next := it.Next()
		part, ok := next.(types.String)
		if !ok {
			return types.MaybeNoSuchOverloadErr(next)
		}
		if size += len(part) + len(separator); size > largestText {
			tooLarge()
		}
		parts = append(parts, string(part))
	}
	return types.String(strings.Join(parts, string(separator)))
}
