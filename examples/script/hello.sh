#!/bin/sh
read -r name
printf 'Hello, %s. This is %s, and it is %s.\n' "$name" "$(uname -n)" "$(date)"
