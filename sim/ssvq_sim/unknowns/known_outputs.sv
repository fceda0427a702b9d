// Outputs of the core that must not have an unknown bit (x or z) while it is out of reset: control outputs always, what
// belongs to a channel while its valid is 1, write data where its strobe is 1. The first that has one ends the simulation
// and is named. This is a second top module, so that the bench in Python has the core's ports for itself.
`define CONTROL(name) if (^ssvq_core.name === 1'bx) unknown(`"name`");
`define PAYLOAD(valid, name) if (ssvq_core.valid === 1'b1 && ^ssvq_core.name === 1'bx) unknown(`"name`");
module known_outputs;
  string report;
  integer file, i;
  integer cycles = 0;
  reg ended = 0;

  initial if (!$value$plusargs("violation=%s", report)) report = "violation.txt";

  task unknown(input string name);
    if (!ended) begin
      ended = 1;
      file = $fopen(report, "w");
      $fwrite(file, "%s has an unknown bit in cycle %0d after the reset", name, cycles);
      $fclose(file);
      $finish;
    end
  endtask

  // What is sampled at a rising edge is there half a cycle before it: the bench changes inputs just after these edges, and
  // has not yet stumbled over the unknown value itself.
  always @(negedge ssvq_core.aclk) if (ssvq_core.aresetn === 1'b1 && !ended) begin
    cycles = cycles + 1;
    `CONTROL(irq)
    `CONTROL(s_axil_awready)
    `CONTROL(s_axil_wready)
    `CONTROL(s_axil_bvalid)
    `PAYLOAD(s_axil_bvalid, s_axil_bresp)
    `CONTROL(s_axil_arready)
    `CONTROL(s_axil_rvalid)
    `PAYLOAD(s_axil_rvalid, s_axil_rdata)
    `PAYLOAD(s_axil_rvalid, s_axil_rresp)
    `CONTROL(m_axi_arvalid)
    `PAYLOAD(m_axi_arvalid, m_axi_arid)
    `PAYLOAD(m_axi_arvalid, m_axi_araddr)
    `PAYLOAD(m_axi_arvalid, m_axi_arlen)
    `PAYLOAD(m_axi_arvalid, m_axi_arsize)
    `PAYLOAD(m_axi_arvalid, m_axi_arburst)
    `PAYLOAD(m_axi_arvalid, m_axi_arlock)
    `PAYLOAD(m_axi_arvalid, m_axi_arcache)
    `PAYLOAD(m_axi_arvalid, m_axi_arprot)
    `PAYLOAD(m_axi_arvalid, m_axi_arqos)
    `CONTROL(m_axi_rready)
    `CONTROL(m_axi_awvalid)
    `PAYLOAD(m_axi_awvalid, m_axi_awid)
    `PAYLOAD(m_axi_awvalid, m_axi_awaddr)
    `PAYLOAD(m_axi_awvalid, m_axi_awlen)
    `PAYLOAD(m_axi_awvalid, m_axi_awsize)
    `PAYLOAD(m_axi_awvalid, m_axi_awburst)
    `PAYLOAD(m_axi_awvalid, m_axi_awlock)
    `PAYLOAD(m_axi_awvalid, m_axi_awcache)
    `PAYLOAD(m_axi_awvalid, m_axi_awprot)
    `PAYLOAD(m_axi_awvalid, m_axi_awqos)
    `CONTROL(m_axi_wvalid)
    `PAYLOAD(m_axi_wvalid, m_axi_wstrb)
    `PAYLOAD(m_axi_wvalid, m_axi_wlast)
    if (ssvq_core.m_axi_wvalid === 1'b1)
      for (i = 0; i < $bits(ssvq_core.m_axi_wstrb); i = i + 1)
        if (ssvq_core.m_axi_wstrb[i] === 1'b1 && ^ssvq_core.m_axi_wdata[8*i+:8] === 1'bx) unknown("m_axi_wdata");
    `CONTROL(m_axi_bready)
  end
endmodule
