package policy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/ext"
	"cel.dev/cel-go/interpreter"
)

// bounds are what one evaluation may take.
type bounds struct {
	// cost is in CEL's own units, about one a step and one for ten characters
	// of text that are looked at.
	cost uint64
	// time is a backstop, far beyond what the cost allows on an idle machine.
	time time.Duration
}

var standardBounds = bounds{cost: 20_000, time: 100 * time.Millisecond}

const (
	// interruptEvery is how many turns of loops pass between looks at the time.
	interruptEvery = 64
	// largestRegexp bounds a regular expression's program, a caller's included.
	largestRegexp = 2000
)

// rule is one compiled expression that says yes or no.
type rule struct {
	name    string // as in Refusal.Rule
	line    int
	program cel.Program
	loops   bool
	time    time.Duration
}

// newEnvironment is what expressions may use: CEL's own, its strings extension
// and the caller.
func newEnvironment() (*cel.Env, error) {
	return cel.NewEnv(
		ext.Strings(ext.StringsVersion(5)),
		cel.Variable("claims", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("scopes", cel.ListType(cel.StringType)),
		cel.Variable("sub", cel.StringType),
		cel.Variable("iss", cel.StringType),
		cel.RegexProgramSizeLimit(largestRegexp),
		cel.ASTValidators(cel.ValidateRegexLiterals(), cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals()),
	)
}

// celFault is a fault at a place in an expression: a line from 1, a column in
// code points from 0.
type celFault struct {
	line, column int
	message      string
}

// compile compiles text, or says all that is wrong with it.
func compile(env *cel.Env, name, text string, limits bounds) (*rule, []celFault) {
	checked, issues := env.Compile(text)
	if issues.Err() != nil {
		var faults []celFault
		for _, e := range issues.Errors() {
			faults = append(faults, celFault{e.Location.Line(), e.Location.Column(), oneLine(e.Message)})
		}
		return nil, faults
	}
	if !checked.OutputType().IsExactType(cel.BoolType) {
		return nil, []celFault{{1, 0, fmt.Sprintf("the expression must give a bool, but gives %s; compare it, as in claims.plan == \"pro\"", checked.OutputType())}}
	}
	program, err := env.Program(checked,
		cel.EvalOptions(cel.OptOptimize), cel.CostLimit(limits.cost), cel.InterruptCheckFrequency(interruptEvery),
		cel.CustomDecoratorV2(boundText))
	if err != nil {
		return nil, []celFault{{1, 0, oneLine(err.Error())}}
	}
	return &rule{name: name, program: program, loops: hasLoops(checked), time: limits.time}, nil
}

func hasLoops(checked *cel.Ast) bool {
	found := false
	ast.PostOrderVisit(checked.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		found = found || e.Kind() == ast.ComprehensionKind
	}))
	return found
}

// holds evaluates the rule for caller. An error is a *Refusal.
func (r *rule) holds(caller Caller) (bool, error) {
	var (
		result interface{ Value() any }
		err    error
	)
	if r.loops {
		ctx, cancel := context.WithTimeout(context.Background(), r.time)
		defer cancel()
		result, _, err = r.program.ContextEval(ctx, variables{&caller})
	} else {
		result, _, err = r.program.Eval(variables{&caller})
	}
	if err != nil {
		var cancelled interpreter.EvalCancelledError
		if errors.As(err, &cancelled) || errors.Is(err, interpreter.InterruptError{}) {
			return false, r.refusal(Overrun, err)
		}
		return false, r.refusal(Failed, err)
	}
	yes, ok := result.Value().(bool)
	if !ok {
		return false, r.refusal(Failed, errors.New("the result is no bool"))
	}
	return yes, nil
}

func (r *rule) refusal(cause Cause, detail error) *Refusal {
	return &Refusal{Cause: cause, Rule: r.name, Line: r.line, Detail: detail}
}

// variables is a caller as expressions see it.
type variables struct{ caller *Caller }

// ResolveName implements cel.Activation.
func (v variables) ResolveName(name string) (any, bool) {
	switch name {
	case "claims":
		return v.caller.Claims, true
	case "scopes":
		return v.caller.Scopes, true
	case "sub":
		return v.caller.Subject, true
	case "iss":
		return v.caller.Issuer, true
	}
	return nil, false
}

// Parent implements cel.Activation.
func (variables) Parent() cel.Activation { return nil }

// oneLine is text fit for one line of a report.
func oneLine(text string) string {
	const most = 300
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }), " ")
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + "…"
	}
	return text
}
