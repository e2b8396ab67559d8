set terminal pngcairo size 1050,470 font "sans,11"
set output "molecules.png"
set multiplot layout 1,3 margins 0.06,0.985,0.12,0.74 spacing 0.055
set xlabel "reward exponent"
set xtics (4, 8, 10, 16)
set xrange [3:17]
set grid
set yrange [-0.6:1]
set xzeroaxis lc "gray" lw 2
array name[3] = ["8 blocks, exact", "all, exact", "as the released code"]
do for [k=1:3] {
  set title name[k]
  if (k == 2) {set key at screen 0.5, 0.99 center top maxrows 2 noenhanced} else {set key off}
  plot for [i=0:3] "molecules.dat" index i using 1:k+1 with linespoints lw 2 pt 7 title columnheader(1)
}
unset multiplot
