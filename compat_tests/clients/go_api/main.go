// Drives go-ipfs-api against one address and prints what it saw as JSON lines: {"step": …, "value": …} or {"error"}.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
	"time"

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
	sh.SetTimeout(60 * time.Second)
	if len(os.Args) > 3 && os.Args[2] == "add" {
		file, err := os.Open(os.Args[3])
		if err != nil {
			panic(err)
		}
		cid, err := sh.Add(file)
		report("add only", cid, err)
		return
	}
	version, _, err := sh.Version()
	report("version", version, err)
	cid, err := sh.Add(strings.NewReader("from go-ipfs-api\n"))
	report("add", cid, err)
	big, err := sh.Add(bytes.NewReader(bytes.Repeat([]byte("0123456789"), 100_000)), shell.Pin(true), shell.CidVersion(1))
	report("add big", big, err)
	dir, err := sh.AddDir(os.Args[2])
	report("add dir", dir, err)
	report("pin again", nil, sh.Pin(cid))
	pins, err := sh.Pins()
	names := []string{}
	for pin, info := range pins {
		if info.Type != "indirect" {
			names = append(names, pin+" "+info.Type)
		}
	}
	sort.Strings(names)
	report("pins", names, err)
	stream, err := sh.PinsStream(context.Background())
	count := 0
	if err == nil {
		for range stream {
			count++
		}
	}
	report("pins stream", count > 0, err)
	reader, err := sh.Cat(cid)
	var content []byte
	if err == nil {
		content, err = io.ReadAll(reader)
	}
	report("cat", string(content), err)
	list, err := sh.List(dir)
	links := []string{}
	for _, link := range list {
		links = append(links, link.Name)
	}
	report("list", links, err)
	report("unpin", nil, sh.Unpin(cid))
	report("unpin again", nil, sh.Unpin(cid))
	report("unpin nonsense", nil, sh.Unpin("nonsense"))
	block, err := sh.BlockPut([]byte("a block"), "v0", "sha2-256", -1)
	report("block put", block, err)
	node, err := sh.DagPut(`{"a":1}`, "dag-json", "dag-cbor")
	report("dag put", node, err)
	for _, root := range []string{big, dir} {
		report("clean", nil, sh.Unpin(root))
	}
}
