// Writes each line of JSON again as Go's encoding/json does: the oracle of tests/it/go.rs.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"strconv"
	"strings"
)

// Whole numbers of 64 bits stay, others are floats, as in what pilot's daemon publishes.
func typed(value any) any {
	switch value := value.(type) {
	case json.Number:
		text := value.String()
		if !strings.ContainsAny(text, ".eE") && text != "-0" {
			if number, err := strconv.ParseInt(text, 10, 64); err == nil {
				return number
			}
			if number, err := strconv.ParseUint(text, 10, 64); err == nil {
				return number
			}
		}
		if number, err := strconv.ParseFloat(text, 64); err == nil {
			return number
		}
		return value
	case map[string]any:
		for key := range value {
			value[key] = typed(value[key])
		}
	case []any:
		for at := range value {
			value[at] = typed(value[at])
		}
	}
	return value
}

// Go 1.22 and newer write \b and \f for what older ones write as \u0008 and \u000c.
func newer(text []byte) []byte {
	var out bytes.Buffer
	for at := 0; at < len(text); at++ {
		switch rest := text[at:]; {
		case bytes.HasPrefix(rest, []byte(`\u0008`)):
			out.WriteString(`\b`)
			at += 5
		case bytes.HasPrefix(rest, []byte(`\u000c`)):
			out.WriteString(`\f`)
			at += 5
		case rest[0] == '\\':
			out.Write(rest[:2])
			at++
		default:
			out.WriteByte(rest[0])
		}
	}
	return out.Bytes()
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<26)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for lines.Scan() {
		var value any
		decoder := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		decoder.UseNumber()
		if err := decoder.Decode(&value); err != nil {
			panic(err)
		}
		text, err := json.Marshal(typed(value))
		if err != nil {
			panic(err)
		}
		out.Write(newer(text))
		out.WriteByte('\n')
	}
}
