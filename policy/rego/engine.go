package rego

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/topdown"

	"kest.example/kest"
)

var background = context.Background()

// Engine implements kest.Engine and kest.PolicyDigester. It is safe for
// concurrent use.
type Engine struct{ policies map[string]*prepared }

// prepared is one policy's query, compiled once.
type prepared struct {
	query    ast.Body
	compiler *ast.Compiler
	store    storage.Store
	digest   string
	uses     *usage
	fails    bool // something in it can
}

// answerVar is what a query binds the rule allow to.
var answerVar = ast.Var("answer")

// New makes an engine of a bundle.
func New(b *Bundle) (*Engine, error) {
	store, err := newStore(b.Data)
	if err != nil {
		return nil, err
	}
	e := &Engine{policies: make(map[string]*prepared, len(b.Policies))}
	f := newFailing(b.compiler)
	for _, p := range b.Policies {
		query, err := b.compiler.QueryCompiler().Compile(ast.NewBody(ast.Equality.Expr(ast.NewTerm(p.ref), ast.NewTerm(answerVar))))
		if err != nil {
			return nil, err
		}
		e.policies[p.Name] = &prepared{query, b.compiler, store, p.Digest, usageOf(b.compiler, p.ref), f.ref(p.ref)}
	}
	return e, nil
}

// Digest implements kest.PolicyDigester.
func (e *Engine) Digest(policy string) (digest string, known bool) {
	if p := e.policies[canonicalName(policy)]; p != nil {
		return p.digest, true
	}
	return "", false
}

// Names returns the policies' names in no particular order.
func (e *Engine) Names() []string {
	names := make([]string, 0, len(e.policies))
	for name := range e.policies {
		names = append(names, name)
	}
	return names
}

// canonicalName reads dots as slashes.
func canonicalName(policy string) string {
	b := []byte(policy)
	return string(bytes.ReplaceAll(b, []byte{'.'}, []byte{'/'}))
}

type unknownPolicyError string

func (e unknownPolicyError) Error() string {
	return "rego: policy " + strconv.Quote(string(e)) + " is not defined"
}

// evaluationError is an evaluation that failed, as by an error of a built-in.
type evaluationError struct{ err error }

func (e *evaluationError) Error() string { return "rego: " + oneLine(e.err.Error()) }

func (e *evaluationError) Unwrap() error { return e.err }

// Evaluate implements kest.Engine. time.now_ns is the entry's time.
func (e *Engine) Evaluate(ctx context.Context, policy string, c *kest.Context) (kest.Decision, error) {
	p := e.policies[canonicalName(policy)]
	if p == nil {
		return kest.Decision{}, unknownPolicyError(policy)
	}
	return p.evaluate(ctx, c)
}

func (p *prepared) evaluate(ctx context.Context, c *kest.Context, tracers ...topdown.QueryTracer) (d kest.Decision, err error) {
	defer func() { // some of OPA's built-ins panic, as json.patch on edits of different kinds
		if r := recover(); r != nil {
			d, err = kest.Decision{Revision: p.digest}, &evaluationError{fmt.Errorf("a built-in panicked: %v", r)}
		}
	}()
	d = kest.Decision{Revision: p.digest, Reason: "allow is undefined"}
	if err := ctx.Err(); err != nil {
		return d, &evaluationError{err}
	}
	txn, err := p.store.NewTransaction(ctx)
	if err != nil {
		return d, &evaluationError{err}
	}
	defer p.store.Abort(ctx, txn)
	cancel := topdown.NewCancel()
	stop := context.AfterFunc(ctx, cancel.Cancel)
	defer stop()
	query := topdown.NewQuery(p.query).WithCompiler(p.compiler).WithStore(p.store).WithTransaction(txn).WithCancel(cancel).
		WithEarlyExit(!p.fails).WithStrictBuiltinErrors(true).WithInput(ast.NewTerm(input(c, p.uses))).WithTime(time.UnixMilli(c.Environment.TimestampMS))
	for _, t := range tracers {
		query = query.WithQueryTracer(t)
	}
	err = query.Iter(ctx, func(r topdown.QueryResult) error {
		if answer := r[answerVar]; answer != nil {
			d.Allow, d.Reason = decision(answer.Value)
		}
		return nil
	})
	if err != nil {
		if topdown.IsCancel(err) && ctx.Err() != nil {
			err = errors.Join(ctx.Err(), err)
		}
		return kest.Decision{Revision: p.digest}, &evaluationError{err}
	}
	return d, nil
}

// decision is an allow for the boolean true alone.
func decision(v ast.Value) (allow bool, reason string) {
	switch v := v.(type) {
	case ast.Boolean:
		return bool(v), "allow is " + strconv.FormatBool(bool(v))
	case ast.String:
		return false, "allow is the string " + strconv.Quote(string(v))
	case ast.Number:
		return false, "allow is the number " + v.String()
	}
	return false, "allow is of the type " + ast.ValueName(v)
}

// decodeObject reads canonical JSON as OPA's store wants it.
func decodeObject(text []byte) (map[string]any, error) {
	var object map[string]any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	err := d.Decode(&object)
	return object, err
}
