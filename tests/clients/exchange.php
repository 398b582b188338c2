<?php
// SPDX-License-Identifier: Apache-2.0
//
// A handle that asks what the laid-out exchange $id asked, of the provider's real name.

function new_handle(string $id): CurlHandle
{
    $folder = getenv('W') . "/x/$id";
    $handle = curl_init(trim(file_get_contents("$folder/url")));
    curl_setopt_array($handle, [
        CURLOPT_CONNECT_TO => ['::127.0.0.1:' . getenv('HTTPS')],
        CURLOPT_CAINFO => getenv('CERTS') . '/ca.pem',
        CURLOPT_HTTPHEADER => ['Content-Type: application/json', "X-Replay: $id"],
        CURLOPT_POSTFIELDS => file_get_contents("$folder/body"),
        CURLOPT_RETURNTRANSFER => true,
        CURLOPT_TIMEOUT => 120,
    ]);
    return $handle;
}
