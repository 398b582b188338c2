<?php
// SPDX-License-Identifier: Apache-2.0
//
// usage: php easy.php ID COUNT
// Asks what exchange ID asked, up to COUNT times in one process, with curl_exec on one handle. Stops
// at the first answer that is not 200. Prints `N CODE CURL-CODE`, and keeps the bodies in answer.N.

require __DIR__ . '/exchange.php';

[, $id, $count] = $argv;
$handle = new_handle($id);
for ($i = 1; $i <= (int) $count; $i++) {
    $body = curl_exec($handle);
    file_put_contents("answer.$i", (string) $body);
    $code = curl_getinfo($handle, CURLINFO_RESPONSE_CODE);
    echo "$i $code ", curl_errno($handle), "\n";
    if ($code != 200) {
        break;
    }
}
curl_close($handle);
