// Command guest does what Go's compiler writes calls for in many ways, and
// prints what came of it. The tests build it for wasip1.
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sort"
	"strings"
	"sync"
)

type shape interface {
	area(scale float64) float64
	name() string
}

type square struct{ a float64 }

type rectangle struct{ a, b float64 }

func (s square) area(scale float64) float64     { return s.a * s.a * scale }
func (s square) name() string                   { return "square" }
func (r *rectangle) area(scale float64) float64 { return r.a * r.b * scale }
func (r *rectangle) name() string               { return "rectangle" }

//go:noinline
func many(a, b, c, d, e int, s string, f float64, rest ...int) (int, string, error) {
	if a < 0 {
		return 0, "", errors.New("negative")
	}
	sum := a + b*2 + c*3 + d*4 + e*5 + len(s) + int(f)
	for _, r := range rest {
		sum = sum*31 + r
	}
	return sum, s + "!", nil
}

//go:noinline
func deep(n int, pad [64]byte) int {
	pad[n%64]++
	if n == 0 {
		return int(pad[0])
	}
	return deep(n-1, pad) + int(pad[n%64])
}

//go:noinline
func fib(n int) int {
	if n < 2 {
		return n
	}
	return fib(n-1) + fib(n-2)
}

func recovers(depth int) (text string) {
	defer func() {
		if r := recover(); r != nil {
			text = fmt.Sprint(text, "recovered ", r)
		}
	}()
	for i := range 3 {
		defer func() { text += fmt.Sprint(i, " ") }()
	}
	return panics(depth)
}

//go:noinline
func panics(depth int) string {
	if depth == 0 {
		var none []int
		return fmt.Sprint(none[len(os.Args)+5])
	}
	defer func() { _ = depth }()
	return panics(depth - 1)
}

func nested() (text string) {
	defer func() { text += fmt.Sprint(recover()) }()
	defer func() {
		defer func() { text += fmt.Sprint(recover(), ", ") }()
		panic("second")
	}()
	panic(errors.New("first"))
}

func closures() string {
	total := 0
	add := func(by int) func(int) int {
		return func(n int) int { total += n * by; return total }
	}
	adders := []func(int) int{add(1), add(10), add(100)}
	for i, f := range adders {
		f(i + 1)
	}
	method := strings.NewReplacer("a", "b").Replace
	return fmt.Sprint(total, method("banana"))
}

func goroutines() string {
	jobs, results := make(chan int), make(chan int, 100)
	var wait sync.WaitGroup
	for range 8 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for n := range jobs {
				results <- fib(n%15) + deep(n, [64]byte{})
			}
		}()
	}
	for n := range 100 {
		jobs <- n
		if n%10 == 0 {
			runtime.Gosched()
		}
	}
	close(jobs)
	wait.Wait()
	close(results)
	sum := 0
	for r := range results {
		sum += r
	}
	return fmt.Sprint(sum)
}

func goexit() string {
	done := make(chan string, 1)
	go func() {
		defer func() { done <- fmt.Sprint("ended ", recover()) }()
		runtime.Goexit()
	}()
	return <-done
}

type node struct {
	next *node
	data []byte
}

// garbage has the collector scan a stack that the rewritten calls built.
func garbage() string {
	var head *node
	for i := range 2000 {
		head = &node{head, make([]byte, i)}
		if i%200 == 0 {
			runtime.GC()
		}
	}
	n := 0
	for ; head != nil; head = head.next {
		n += len(head.data)
	}
	return fmt.Sprint(n)
}

func generics[T any, U comparable](list []T, key func(T) U) map[U]int {
	counts := make(map[U]int)
	for _, v := range list {
		counts[key(v)]++
	}
	return counts
}

func callers() string {
	pcs := make([]uintptr, 10)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
	var names []string
	for {
		f, more := frames.Next()
		if strings.HasPrefix(f.Function, "main.") {
			names = append(names, f.Function)
		}
		if !more {
			return strings.Join(names, " ")
		}
	}
}

func main() {
	sum, text, err := many(1, 2, 3, 4, 5, "six", 7.5, 8, 9)
	fmt.Println(sum, text, err)
	_, _, err = many(-1, 0, 0, 0, 0, "", 0)
	fmt.Println(err)
	for _, s := range []shape{square{2}, &rectangle{2, 3}} {
		fmt.Println(s.name(), s.area(1.5))
	}
	fmt.Println(deep(10, [64]byte{}), deep(20000, [64]byte{}), fib(20))
	fmt.Println(recovers(0), "/", recovers(50))
	fmt.Println(nested())
	fmt.Println(closures())
	fmt.Println(goroutines())
	fmt.Println(goexit())
	fmt.Println(garbage())
	fmt.Println(generics([]string{"a", "bb", "cc"}, func(s string) int { return len(s) }))
	words := strings.Fields("the quick brown fox jumps over the lazy dog")
	sort.Slice(words, func(i, j int) bool { return words[i] > words[j] })
	fmt.Println(words)
	fmt.Println(callers())
	if len(os.Args) > 1 && os.Args[1] == "panic" {
		panic("as the test asked")
	}
	if len(os.Args) > 1 {
		os.Exit(len(os.Args[1]))
	}
}
