// SPDX-License-Identifier: Apache-2.0
// An operator's MCP client, by the protocol's own SDK: `node approves.cjs FLYBALL` lists the tools of
// `FLYBALL mcp`, and approves the question that waits, a line of JSON each. NODE_PATH leads to the SDK.
"use strict";
const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
const { StdioClientTransport } = require("@modelcontextprotocol/sdk/client/stdio.js");

const say = (what) => console.log(JSON.stringify(what));

async function main(flyball) {
    const client = new Client({ name: "approves", version: "1" });
    await client.connect(new StdioClientTransport({ command: flyball, args: ["mcp"], env: { ...process.env } }));
    say({ server: client.getServerVersion(), tools: (await client.listTools()).tools });
    const snapshot = await client.callTool({ name: "budget_snapshot" });
    say({ snapshot: snapshot.structuredContent });
    const answer = await client.callTool({
        name: "budget_approve",
        arguments: {
            checkpoint_id: snapshot.structuredContent.approvals[0].checkpoint_id,
            extensions: { steps: 2 },
            reason: "from an SDK",
        },
    });
    say({ isError: answer.isError, answer: answer.structuredContent ?? answer.content });
    await client.close();
}

main(process.argv[2]).catch((error) => {
    console.error(error);
    process.exitCode = 1;
});
