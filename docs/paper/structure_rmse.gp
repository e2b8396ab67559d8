set terminal pngcairo size 900,520 font "sans,11"
set output "structure_rmse.png"
set logscale y
set format y "10^{%L}"
set xlabel "variables"
set ylabel "RMSE of edge marginals"
set xtics 1
set key outside right top noenhanced
set grid
stats "structure_rmse.dat" nooutput
names = system("sed -n 's/^# //p' structure_rmse.dat")
plot for [i=1:words(names)] "structure_rmse.dat" index i-1 using 1:2 with linespoints lw 2 pt 7 title word(names, i)
