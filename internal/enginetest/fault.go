// Package enginetest plays remote policy engines for tests, over real sockets:
// servers that decide as the real ones do, and all that a server can do wrong.
package enginetest

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"time"

	"kest.example/kest"
)

// Fault is one way in which a server fails to allow.
type Fault struct {
	Name   string
	Denies bool // it is a well-formed answer: a denial, and no error
	Late   bool // it never ends: only the time-out does
	Serve  http.HandlerFunc
}

// Says answers a status and a body of JSON.
func Says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// Faults are what a server can do wrong whose right answer is allow, a JSON
// object. A redirect leads to Elsewhere.
func Faults(allow string) []Fault {
	return append(append(wrongAnswers(allow), brokenAnswers(allow)...), lateAnswers(allow)...)
}

// Elsewhere is where redirects lead.
const Elsewhere = "/elsewhere"

// wrongAnswers are whole answers over HTTP.
func wrongAnswers(allow string) (list []Fault) {
	for name, body := range map[string]string{
		"null": "null", "one": "1", "true": "true", "text": `"true"`, "Allow as a text": `"Allow"`, "empty list": "[]", "empty object": "{}",
		"list": "[" + allow + "]", "inside another object": `{"x":` + allow + "}",
	} {
		list = append(list, Fault{Name: name, Denies: true, Serve: Says(200, body)})
	}
	open := strings.TrimSuffix(allow, "}")
	for name, body := range map[string]string{
		"empty": "", "white space": " \n", "half": allow[:len(allow)-1], "two values": allow + allow, "trailing bytes": allow + "x", "BOM": "\ufeff" + allow,
		"UTF-16": "\xff\xfe{\x00}\x00", "bad UTF-8": open + ",\"x\":\"\xff\"}", "lone surrogate": open + `,"x":"\ud800"}`, "NaN": open + `,"x":NaN}`,
		"comment": allow + "//", "repeated name": open + `,"x":1,"x":1}`, "all repeated": open + "," + strings.TrimPrefix(allow, "{"),
		"deep": strings.Repeat("[", 5000) + strings.Repeat("]", 5000), "HTML": "<html>allow</html>", "text/plain": "allow",
		"huge": open + `,"x":"` + strings.Repeat("x", kest.MaxAnswer) + `"}`, "huge by white space": allow + strings.Repeat(" ", kest.MaxAnswer),
	} {
		list = append(list, Fault{Name: name, Serve: Says(200, body)})
	}
	for _, status := range []int{201, 202, 206, 400, 401, 403, 404, 409, 429, 500, 502, 503, 504} {
		list = append(list, Fault{Name: http.StatusText(status), Serve: Says(status, allow)})
	}
	for _, status := range []int{301, 302, 303, 307, 308} {
		list = append(list, Fault{Name: http.StatusText(status), Serve: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", Elsewhere)
			Says(status, allow)(w, nil)
		}})
	}
	return append(list, Fault{Name: "no content", Serve: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }})
}

// brokenAnswers are such as HTTP itself does not allow, or that nobody asked for.
func brokenAnswers(allow string) []Fault {
	return []Fault{
		{Name: "cut off before its length", Serve: raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n" + allow)},
		{Name: "cut off in chunks", Serve: raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + "400\r\n" + allow)},
		{Name: "two lengths", Serve: raw("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n" + allow)},
		{Name: "half a header", Serve: raw("HTTP/1.1 200 OK\r\nContent-Le")},
		{Name: "no HTTP", Serve: raw(allow)},
		{Name: "nothing", Serve: raw("")},
		{Name: "huge header", Serve: raw("HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("a", 4<<20) + "\r\n\r\n")},
		{Name: "compressed", Serve: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = io.WriteString(z, allow)
			_ = z.Close()
		}},
		{Name: "repeats the request", Serve: repeat},
		{Name: "repeats the request in no HTTP", Serve: func(w http.ResponseWriter, r *http.Request) {
			raw("HTTP/9 "+r.Header.Get("Authorization")+r.Header.Get("X-Amz-Security-Token")+"\r\n\r\n")(w, r)
		}},
	}
}

// repeat answers with all that was asked.
func repeat(w http.ResponseWriter, r *http.Request) {
	w.WriteHeader(http.StatusBadGateway)
	_ = r.Header.Write(w)
	_, _ = io.Copy(w, r.Body)
}

// raw writes bytes to the connection and closes it.
func raw(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // what stays unread makes a close a reset
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = io.WriteString(conn, text)
		_ = conn.Close()
	}
}

// lateAnswers end only when nobody waits any more.
func lateAnswers(allow string) []Fault {
	begin := func(w http.ResponseWriter, text string) {
		_, _ = io.WriteString(w, text)
		_ = http.NewResponseController(w).Flush()
	}
	return []Fault{
		{Name: "no headers", Late: true, Serve: func(_ http.ResponseWriter, r *http.Request) { wait(r) }},
		{Name: "no body", Late: true, Serve: func(w http.ResponseWriter, r *http.Request) { begin(w, ""); wait(r) }},
		{Name: "half a body", Late: true, Serve: func(w http.ResponseWriter, r *http.Request) { begin(w, allow[:len(allow)/2]); wait(r) }},
		{Name: "whole body without its end", Late: true, Serve: func(w http.ResponseWriter, r *http.Request) { begin(w, allow); wait(r) }},
		{Name: "byte by byte", Late: true, Serve: func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			for r.Context().Err() == nil {
				begin(w, " ")
				time.Sleep(10 * time.Millisecond)
			}
		}},
	}
}

// wait returns when the client is gone. Before that the request must be read, or
// the server doesn't see it go.
func wait(r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}
