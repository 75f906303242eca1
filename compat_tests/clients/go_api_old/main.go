// What an IRC pinbot does with go-ipfs-api v0.0.3: warm the content by `refs -r`, pin it, unpin it, show the error.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	shell "github.com/ipfs/go-ipfs-api"
)

func report(step string, value any, err error) {
	line := map[string]any{"step": step}
	if err != nil {
		line["error"] = err.Error()
	} else {
		line["value"] = value
	}
	out, _ := json.Marshal(line)
	fmt.Println(string(out))
}

func main() {
	sh := shell.NewShell(os.Args[1])
	path := os.Args[2]
	refs, err := sh.Refs(path, true)
	count := 0
	if err == nil {
		for range refs {
			count++
		}
	}
	report("refs", count, err)
	report("pin", nil, sh.Pin(path))
	pins, err := sh.Pins()
	report("pinned", pins[strings.TrimPrefix(path, "/ipfs/")].Type, err)
	report("unpin", nil, sh.Unpin(path))
	report("unpin again", nil, sh.Unpin(path))
	resolved, err := sh.ResolvePath(path)
	report("resolve", resolved, err)
	report("pin nonsense", nil, sh.Pin("QmNonsense"))
}
