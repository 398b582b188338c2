<?php
// SPDX-License-Identifier: Apache-2.0
//
// usage: php multi.php ID COUNT
// Asks what exchange ID asked, COUNT times at once, with curl_multi. Prints `N CODE CURL-CODE` in the
// order of N, and keeps the bodies in answer.N.

require __DIR__ . '/exchange.php';

[, $id, $count] = $argv;
$multi = curl_multi_init();
$handles = [];
for ($i = 1; $i <= (int) $count; $i++) {
    $handles[$i] = new_handle($id);
    curl_multi_add_handle($multi, $handles[$i]);
}
$results = [];
do {
    $status = curl_multi_exec($multi, $running);
    while ($message = curl_multi_info_read($multi)) {
        $results[array_search($message['handle'], $handles, true)][] = $message['result'];
    }
    if ($running) {
        curl_multi_select($multi, 1.0);
    }
} while ($running && $status == CURLM_OK);
foreach ($handles as $i => $handle) {
    file_put_contents("answer.$i", (string) curl_multi_getcontent($handle));
    $code = curl_getinfo($handle, CURLINFO_RESPONSE_CODE);
    echo "$i $code ", implode(',', $results[$i] ?? ['none']), "\n";
    curl_multi_remove_handle($multi, $handle);
    curl_close($handle);
}
curl_multi_close($multi);
