# tests/bench/report.bats - what the benchmark says of its measurements

@test "medians, ratios, tables, aims and pictures show what was measured" {
    PYTHONDONTWRITEBYTECODE=1 python3 "$BATS_TEST_DIRNAME/test_report.py"
}
