"""Ask every case of the suites, check the answers, and compare the results with the criteria."""
