package jcs

// Generic sorts come out once for each type, 20 KB of a guest's code a time.
// This one heap sort serves all of ours, in n log n whatever the input.
func heapSort(n int, less func(i, j int) bool, swap func(i, j int)) {
	sift := func(root, end int) {
		for {
			child := 2*root + 1
			if child >= end {
				return
			}
			if child+1 < end && less(child, child+1) {
				child++
			}
			if !less(root, child) {
				return
			}
			swap(root, child)
			root = child
		}
	}
	for i := n/2 - 1; i >= 0; i-- {
		sift(i, n)
	}
	for end := n - 1; end > 0; end-- {
		swap(0, end)
		sift(0, end)
	}
}

// short is up to where insertion beats a heap.
const short = 12

// SortNames sorts by UTF-16 code units, as member names are sorted.
func SortNames(list []string) {
	if len(list) <= short {
		for i := 1; i < len(list); i++ {
			for j := i; j > 0 && CompareNames(list[j], list[j-1]) < 0; j-- {
				list[j], list[j-1] = list[j-1], list[j]
			}
		}
		return
	}
	heapSort(len(list), func(i, j int) bool { return CompareNames(list[i], list[j]) < 0 },
		func(i, j int) { list[i], list[j] = list[j], list[i] })
}

// SortStrings sorts by code point.
func SortStrings(list []string) {
	if len(list) <= short {
		for i := 1; i < len(list); i++ {
			for j := i; j > 0 && list[j] < list[j-1]; j-- {
				list[j], list[j-1] = list[j-1], list[j]
			}
		}
		return
	}
	heapSort(len(list), func(i, j int) bool { return list[i] < list[j] },
		func(i, j int) { list[i], list[j] = list[j], list[i] })
}

func sortMembers(items []Member) {
	heapSort(len(items), func(i, j int) bool { return CompareNames(items[i].Name, items[j].Name) < 0 },
		func(i, j int) { items[i], items[j] = items[j], items[i] })
}
